"""Nodes by the labels of the user: any hashable values, numbered 0, 1, 2… in the order in which they are seen."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST = 2**31 - 1


class NodeIndex:
    """Labels and their positions.

    Parameters
    ----------
    nodes : int, iterable of hashable, or None
        A number n says that labels are the integers 0…n−1 themselves, which costs nothing to look up; a larger one
        makes the graph reach up to it. Otherwise the labels that are known from the start.

    Raises
    ------
    TypeError
        If a label is not hashable, or `nodes` is of another kind.
    ValueError
        If a label occurs twice or a number of nodes is negative or too large.
    """

    def __init__(self, nodes: int | Iterable[Hashable] | None = None) -> None:
        self.labels: list[Hashable] | None = None
        self._positions: dict[Hashable, int] = {}
        self._size = 0
        if isinstance(nodes, (bool, np.bool_, str, bytes)) or not (
            nodes is None or isinstance(nodes, (int, np.integer, Iterable))
        ):
            raise TypeError(f"nodes must be an integer or an iterable of labels, got {nodes!r}")
        if isinstance(nodes, (int, np.integer)):
            if not 0 <= nodes <= LARGEST:
                raise ValueError(f"nodes must lie between 0 and {LARGEST}, got {nodes}")
            self._size = int(nodes)
            return
        self.labels = []
        listed = [] if nodes is None else [_plain(label) for label in nodes]
        _, new = self.locate(listed)
        if len(new) != len(listed):
            raise ValueError("nodes must be distinct, got a label twice")
        self.adopt(new)

    def __len__(self) -> int:
        return self._size

    def position(self, label: Any) -> int:
        """Return the position of a label that is known.

        Raises
        ------
        KeyError
            If it is not.
        """
        label = _plain(label)
        if self.labels is None:
            if isinstance(label, int) and 0 <= label < self._size:
                return label
            raise KeyError(f"the graph has no node {label!r}")
        try:
            return self._positions[label]
        except KeyError:
            raise KeyError(f"the graph has no node {label!r}") from None
        except TypeError:
            raise TypeError(f"a node label must be hashable, got {label!r}") from None

    def label(self, position: int) -> Any:
        """Return the label at a position."""
        return int(position) if self.labels is None else self.labels[position]

    def locate(self, labels: Sequence[Any] | NDArray[Any]) -> tuple[NDArray[np.int64], list[Any]]:
        """Return positions, and the labels that are new; they get the next positions once they are adopted.

        Raises
        ------
        TypeError
            If a label is not hashable, or no integer where labels are integers.
        ValueError
            If an integer label is negative or too large.
        """
        if self.labels is None:
            return self._locate_integers(labels)
        if isinstance(labels, np.ndarray) and labels.dtype.kind in "iuU" and len(labels) > 16:
            distinct, inverse = np.unique(labels, return_inverse=True)
            order = np.full(len(distinct), len(labels))
            np.minimum.at(order, inverse, np.arange(len(labels)))
            ranks = np.argsort(order)  # new labels are numbered as they come, not by size
            positions, new = self._locate_one_by_one(distinct[ranks].tolist())
            placed = np.empty(len(distinct), dtype=np.int64)
            placed[ranks] = positions
            return placed[inverse], new
        return self._locate_one_by_one([_plain(label) for label in labels])

    def adopt(self, new: Sequence[Any]) -> None:
        """Number the labels that `locate` found to be new."""
        if self.labels is None:
            self._size += len(new)
            return
        self._positions.update(zip(new, range(self._size, self._size + len(new))))
        self.labels.extend(new)
        self._size += len(new)

    def _locate_integers(self, labels: Sequence[Any] | NDArray[Any]) -> tuple[NDArray[np.int64], Any]:
        array = np.asarray(labels)
        if len(array) and array.dtype.kind not in "iu":
            raise TypeError(f"node labels must be integers in a graph of nodes 0, 1, 2…, got {labels[0]!r}")
        if len(array) and (array.min() < 0 or array.max() >= LARGEST):
            bad = array.min() if array.min() < 0 else array.max()
            raise ValueError(f"node labels must lie between 0 and {LARGEST - 1}, got {bad}")
        array = array.astype(np.int64)
        size = max(self._size, int(array.max()) + 1 if len(array) else 0)
        return array, range(self._size, size)

    def _locate_one_by_one(self, labels: list[Any]) -> tuple[NDArray[np.int64], list[Any]]:
        known = self._positions
        new: dict[Any, int] = {}
        positions = np.empty(len(labels), dtype=np.int64)
        for i, label in enumerate(labels):
            try:
                position = known.get(label)
            except TypeError:
                raise TypeError(f"a node label must be hashable, got {label!r}") from None
            if position is None:
                if label != label:
                    raise ValueError("a node label must equal itself, got NaN")
                position = new.setdefault(label, self._size + len(new))
            positions[i] = position
        return positions, list(new)


def _plain(label: Any) -> Any:
    return label.item() if isinstance(label, np.generic) else label
