"""How the scores of the best nodes move while a stream runs, as a table, a figure and an animation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from reprise.dynamic_pagerank.scores import Scores, largest
from reprise.dynamic_pagerank.validation import positive_integer

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Trajectory:
    """Snapshots of scores along a stream.

    Parameters
    ----------
    top : int
        How many nodes are followed: those that are best at the last snapshot.

    Examples
    --------
    >>> from reprise.dynamic_pagerank import DynamicGraph, DynamicPageRank
    >>> ranked = DynamicPageRank(DynamicGraph(), source="a")
    >>> seen = Trajectory(top=2)
    >>> for i, edge in enumerate([("a", "b"), ("b", "c"), ("c", "a")]):
    ...     ranked.update([edge])
    ...     seen.record(i + 1, ranked.scores())
    >>> [label for label, _ in seen.paths()]
    ['a', 'b']
    """

    def __init__(self, top: int = 10) -> None:
        self.top = positive_integer("top", top)
        self.events: list[int] = []
        self._snapshots: list[NDArray[np.float64]] = []
        self._scores: Scores | None = None

    def record(self, events: int, scores: Scores) -> None:
        """Keep the scores after so many events."""
        self.events.append(events)
        self._snapshots.append(scores.to_numpy())
        self._scores = scores

    def paths(self) -> list[tuple[Any, NDArray[np.float64]]]:
        """Return label and scores, shape (snapshots,), of the nodes that are best in the end; 0 before they came.

        Raises
        ------
        ValueError
            If nothing was recorded.
        """
        if self._scores is None:
            raise ValueError("there is no snapshot yet: record at least one")
        best = largest(self._snapshots[-1], self.top)
        rows = [[part[i] if i < len(part) else 0.0 for part in self._snapshots] for i in best]
        return [(self._scores.label(int(i)), np.array(row)) for i, row in zip(best, rows)]

    def plot(self, axes: Axes) -> None:
        """Draw the paths over the number of events."""
        for label, path in self.paths():
            axes.plot(self.events, path, label=str(label))
        axes.set(xlabel="events", ylabel="personalized PageRank")
        axes.legend(ncols=2)

    def animate(self, path: str | Path, *, seconds: float = 8.0) -> None:
        """Write an animation (GIF) of the paths as they grow.

        Parameters
        ----------
        path : str or Path
            Ends in ``.gif``.
        seconds : float
            Length.

        Raises
        ------
        ValueError
            If there are fewer than two snapshots, or the name does not end in ``.gif``.
        """
        from matplotlib import pyplot as plt
        from matplotlib.animation import FuncAnimation, PillowWriter

        if len(self.events) < 2:
            raise ValueError(f"an animation needs at least two snapshots, got {len(self.events)}")
        if Path(path).suffix != ".gif":
            raise ValueError(f"path must end in .gif, got {path}")
        figure, axes = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
        try:
            update = self._prepare(figure, axes)
            frames = len(self.events)
            FuncAnimation(figure, update, frames=frames).save(
                path, writer=PillowWriter(fps=max(round(frames / seconds), 1))
            )
        finally:
            plt.close(figure)

    def _prepare(self, figure: Figure, axes: Axes) -> Any:
        paths = self.paths()
        lines = [axes.plot([], [], label=str(label))[0] for label, _ in paths]
        axes.set(
            xlim=(self.events[0], self.events[-1]),
            ylim=(0, 1.05 * max(path.max() for _, path in paths)),
            xlabel="events",
            ylabel="personalized PageRank",
        )
        axes.legend(loc="upper left", ncols=2, fontsize=7)

        def update(frame: int) -> list[Any]:
            for line, (_, path) in zip(lines, paths):
                line.set_data(self.events[: frame + 1], path[: frame + 1])
            return lines

        return update
