"""What a package declares: its paper, and the experiments that repeat it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, is_dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .errors import RepriseError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from .claims import Claim
    from .context import Context
    from .data import DataSet

SCALES = ("smoke", "laptop", "gpu", "paper")

Cell = Mapping[str, Any]
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Experiment:
    """One table or figure of a paper: how it is measured, drawn and judged.

    Parameters
    ----------
    name : str
        As in the command line, ``sample-complexity``.
    title : str
        One line: what it shows.
    scales : mapping of str to dataclass
        The settings of every scale that is offered, among ``smoke``, ``laptop``, ``gpu`` and ``paper``.
    cells : callable
        ``cells(settings)`` yields the grid: one flat dict of JSON values per independent unit of work.
    measure : callable
        ``measure(settings, cell, context)`` returns the rows of one cell; pure but for ``context``. The cell's own
        entries are added to each row.
    plot : callable
        ``plot(table)`` draws the finished table on a matplotlib figure.
    claims : sequence of Claim
        What the paper says of this table.
    prepare : callable, optional
        ``prepare(settings, context)`` returns what all cells need once; they find it in ``context.prepared``.
    data : mapping of str to sequence of DataSet
        The data sets that each scale reads.
    timings : sequence of str
        Columns that hold times or memory: they differ from run to run and are left out when runs are compared.
    threads : int
        Threads that one cell may use on a CPU. Fixed here, so that no number depends on the number of workers.

    Raises
    ------
    ValueError
        If a scale is unknown, settings are no frozen dataclass, or two claims share an id.
    """

    name: str
    title: str
    scales: Mapping[str, Any]
    cells: Callable[[Any], Iterable[Cell]]
    measure: Callable[[Any, Cell, Context], Sequence[Row]]
    plot: Callable[[pd.DataFrame], Figure]
    claims: Sequence[Claim]
    prepare: Callable[[Any, Context], Any] | None = None
    data: Mapping[str, Sequence[DataSet]] = field(default_factory=dict)
    timings: Sequence[str] = ()
    threads: int = 1

    def __post_init__(self) -> None:
        for scale, settings in self.scales.items():
            if scale not in SCALES:
                raise ValueError(f"scales: expected names among {', '.join(SCALES)}, got {scale!r} in {self.name}")
            if not is_dataclass(settings) or not getattr(settings, "__dataclass_params__").frozen:  # noqa: B009
                raise ValueError(f"scales: the settings of {self.name} at {scale} must be a frozen dataclass")
        for scale in self.data:
            if scale not in self.scales:
                raise ValueError(f"data: {self.name} has no scale {scale!r}")
        ids = [claim.id for claim in self.claims]
        if len(set(ids)) < len(ids):
            raise ValueError(f"claims: ids must differ, got {ids} in {self.name}")

    def settings(self, scale: str) -> Any:
        """Return the settings of a scale.

        Raises
        ------
        RepriseError
            If the experiment has no such scale.
        """
        if scale not in self.scales:
            raise RepriseError(f"{self.name} has no scale {scale!r}: choose among {', '.join(self.scales)}")
        return self.scales[scale]


@dataclass(frozen=True)
class Paper:
    """A reproduced paper: the slug of its package and its experiments, in the order of the paper.

    Experiment ``sample-complexity`` of ``matrix-sensing`` is the object ``EXPERIMENT`` of
    ``reprise.matrix_sensing.experiments.sample_complexity``; it is imported when it is first asked for.
    """

    slug: str
    experiments: tuple[str, ...]

    @property
    def module(self) -> str:
        """The import name of the package."""
        return f"reprise.{self.slug.replace('-', '_')}"

    def experiment(self, name: str) -> Experiment:
        """Import one experiment.

        Raises
        ------
        RepriseError
            If the paper has no experiment of that name, or it cannot be imported.
        """
        if name not in self.experiments:
            raise RepriseError(f"{self.slug} has no experiment {name!r}: choose among {', '.join(self.experiments)}")
        try:
            module = import_module(f"{self.module}.experiments.{name.replace('-', '_')}")
        except ImportError as error:
            raise RepriseError(f"experiment {name} of {self.slug} cannot be imported: {error}") from error
        experiment: Experiment = module.EXPERIMENT
        if experiment.name != name:
            raise RepriseError(f"{module.__name__} declares experiment {experiment.name!r}, but {name!r} was expected")
        return experiment
