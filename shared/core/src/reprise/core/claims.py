"""Claims: what a paper says, as data, and the verdict that a table of measurements gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pandas as pd


class Verdict(StrEnum):
    """What a run says of a claim."""

    REPRODUCED = "reproduced"
    NOT_REPRODUCED = "not reproduced"
    NOT_RUN = "not run at this scale"


class RowsMissing(LookupError):
    """The table holds no rows of the kind that a check needs."""


@dataclass(frozen=True)
class Outcome:
    """What a check found: the measured value, its 95 % interval over trials, and whether the claim holds."""

    measured: float
    interval: tuple[float, float] | None
    holds: bool
    expected: str
    samples: int
    parts: tuple[Outcome, ...] = ()


Check = Callable[["pd.DataFrame"], Outcome]


@dataclass(frozen=True)
class Claim:
    """One sentence of a paper, with a check that can fail.

    Parameters
    ----------
    id : str
        Short and unique within the paper, ``S4``.
    sentence : str
        What the paper says, for somebody who has not read it.
    source : str
        Where it says so: ``Table 2``, ``Theorem 1.1``.
    paper : float, str or None
        The value that the paper prints; a string where it is no number; None where none is printed.
    level : {"number", "direction"}
        ``number``: the paper's figure in the same setting, to a stated tolerance. ``direction``: the same relation
        at a smaller scale.
    check : callable
        From the table to an `Outcome`; raises `RowsMissing` where the table lacks what it needs.
    tried : str
        For a claim that does not come out: what was tried. Shown beside the verdict.
    """

    id: str
    sentence: str
    source: str
    paper: float | str | None
    level: Literal["number", "direction"]
    check: Check
    tried: str = ""

    def __post_init__(self) -> None:
        if self.level not in ("number", "direction"):
            raise ValueError(f"level must be 'number' or 'direction', got {self.level!r} in claim {self.id}")

    def judge(self, table: pd.DataFrame) -> tuple[Verdict, Outcome | None]:
        """Return the verdict of a table, and what was measured where the table has the rows.

        Examples
        --------
        >>> import pandas as pd
        >>> from reprise.core import Claim, at_most
        >>> claim = Claim("C1", "the error is small", "Table 1", 0.1, "number", at_most("error", 0.1))
        >>> claim.judge(pd.DataFrame({"trial": [0, 1, 2], "error": [0.05, 0.06, 0.05]}))[0].value
        'reproduced'
        """
        try:
            outcome = self.check(table)
        except RowsMissing:
            return Verdict.NOT_RUN, None
        return (Verdict.REPRODUCED if outcome.holds else Verdict.NOT_REPRODUCED), outcome
