"""``reprise verify``: run a record's settings again, in a fresh folder, and compare number by number."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .errors import Interrupted, RepriseError
from .record import ClaimResult, Record, read_record
from .registry import paper as find_paper
from .run import observed
from .runner import result_folder, run_experiment, settings_from
from .tables import measured


@dataclass(frozen=True)
class Comparison:
    """How a second run compares with a record.

    `worst` is the largest relative difference of any number of the table; `differing` names what does not agree.
    """

    paper: str
    experiment: str
    scale: str
    cells: int
    worst: float
    differing: list[str] = field(default_factory=list)

    @property
    def agrees(self) -> bool:
        """Whether every verdict and every number agree."""
        return not self.differing


def verify_records(paths: Sequence[Path], *, workers: int | None, tolerance: float, as_json: bool) -> bool:
    """Verify records and print what came out; True if all agree.

    Raises
    ------
    RepriseError
        If a record cannot be read or its experiment cannot be run here.
    """
    comparisons = [verify(path, workers=workers, tolerance=tolerance) for path in paths]
    if as_json:
        worst = [c.worst if np.isfinite(c.worst) else None for c in comparisons]  # JSON knows no infinity
        shown = [{**asdict(c), "worst": w, "agrees": c.agrees} for c, w in zip(comparisons, worst)]
        print(json.dumps(shown, indent=1))
    else:
        for found in comparisons:
            name = f"{found.paper}/{found.experiment} ({found.scale}, {found.cells} cells)"
            if found.agrees:
                print(f"{name}: agrees, largest relative difference {found.worst:.1e}")
            else:
                print(f"{name}: differs in {'; '.join(found.differing)}")
    return all(found.agrees for found in comparisons)


def verify(path: Path, *, workers: int | None = None, tolerance: float = 1e-6) -> Comparison:
    """Run a record's settings again and compare its claims, and every number of the table.csv beside it.

    Parameters
    ----------
    path : Path
        A record.json, or the folder that holds one.
    workers : int, optional
    tolerance : float
        Relative difference that a number may have: machines differ in the last bits of sums.

    Raises
    ------
    RepriseError
        If the record cannot be read, its table is not the one that it was written with, or the run fails.
    """
    record = read_record(path)
    folder = path if path.is_dir() else path.parent
    paper = find_paper(record.paper)
    settings = settings_from(paper.experiment(record.experiment), record.settings)
    old = _recorded_table(folder, record)
    with tempfile.TemporaryDirectory(prefix="reprise-verify-") as scratch, observed(record.experiment) as observer:
        again = _run_again(
            paper,
            record.experiment,
            scale=record.scale,
            settings=settings,
            out=Path(scratch),
            seed=record.seed,
            device=record.device,
            workers=workers,
            observer=observer,
        )
        new = pd.read_csv(result_folder(Path(scratch), record.experiment, record.scale) / "table.csv")
    differing = compare_claims(record.claims, again.claims, tolerance=tolerance)
    worst, columns = compare_tables(old, new, skip=record.timings, tolerance=tolerance)
    return Comparison(record.paper, record.experiment, record.scale, again.cells, worst, differing + columns)


def compare_claims(old: Sequence[ClaimResult], new: Sequence[ClaimResult], *, tolerance: float) -> list[str]:
    """Return a sentence for every claim whose verdict, paper's value or measured value is not what was recorded."""
    before, after = {claim.id: claim for claim in old}, {claim.id: claim for claim in new}
    sentences = []
    for name in sorted(before.keys() | after.keys()):
        if name not in before or name not in after:
            sentences.append(f"claim {name}: only {'recorded' if name in before else 'in the new run'}")
            continue
        one, other = before[name], after[name]
        for what in ("verdict", "paper", "level", "source", "expected", "samples"):
            if getattr(one, what) != getattr(other, what):
                sentences.append(f"claim {name}: {what} recorded {getattr(one, what)}, now {getattr(other, what)}")
        numbers = [
            np.array([claim.measured, *(claim.interval or ()), *(p.measured for p in claim.parts)], dtype=float)
            for claim in (one, other)
        ]
        if numbers[0].shape != numbers[1].shape or _relative(*numbers) > tolerance:
            sentences.append(f"claim {name}: measured recorded {measured(one)}, now {measured(other)}")
    return sentences


def compare_tables(
    old: pd.DataFrame, new: pd.DataFrame, *, skip: Sequence[str], tolerance: float
) -> tuple[float, list[str]]:
    """Return the largest relative difference, and a sentence for every column that differs by more.

    Numbers are compared relative to the larger of the two and to 1e-9 of the column's largest magnitude: what is zero
    but for rounding does not count.
    """
    if list(old.columns) != list(new.columns) or len(old) != len(new):
        return float("inf"), [f"the table: recorded {old.shape} with {list(old)}, now {new.shape} with {list(new)}"]
    worst, sentences = 0.0, []
    for name in (name for name in old.columns if name not in skip):
        a, b = old[name], new[name]
        if not (pd.api.types.is_numeric_dtype(a) and pd.api.types.is_numeric_dtype(b)):
            if not a.astype(str).equals(b.astype(str)):
                sentences.append(f"column {name}: the entries differ")
            continue
        difference = _relative(a.to_numpy(dtype=float), b.to_numpy(dtype=float))
        worst = max(worst, difference)
        if difference > tolerance:
            sentences.append(f"column {name}: a relative difference of {difference:.1e}")
    return worst, sentences


def _relative(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> float:
    finite = np.isfinite(a)
    if (finite != np.isfinite(b)).any() or not np.array_equal(a[~finite], b[~finite], equal_nan=True):
        return float("inf")
    a, b = a[finite], b[finite]
    if a.size == 0:
        return 0.0
    size = np.maximum(np.abs(a), np.abs(b))
    return float(np.max(np.abs(a - b) / np.maximum(size, 1e-9 * max(size.max(), 1e-300))))


def _run_again(*arguments: Any, **options: Any) -> Record:
    try:
        return run_experiment(*arguments, **options)
    except Interrupted:
        raise Interrupted("stopped before the comparison was made; a verification always starts anew") from None


def _recorded_table(folder: Path, record: Record) -> pd.DataFrame:
    import hashlib
    import io

    try:
        content = (folder / "table.csv").read_bytes()
    except OSError as error:
        raise RepriseError(f"cannot read the table of the record, {folder / 'table.csv'}: {error.strerror}") from error
    if hashlib.sha256(content).hexdigest() != record.table_sha256:
        raise RepriseError(f"{folder / 'table.csv'} is not the table that the record was written with")
    return pd.read_csv(io.BytesIO(content))
