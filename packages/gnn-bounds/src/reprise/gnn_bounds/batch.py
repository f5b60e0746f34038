"""Many graphs as one: node features one below the other, and a block-diagonal diffusion matrix."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from reprise.gnn_bounds.diffusion import KINDS, LOCAL, Kind, diffuse
from reprise.gnn_bounds.graphs import Graph, as_graphs
from reprise.gnn_bounds.validation import choice

Array = np.ndarray[Any, Any]


class Propagation:
    """A fixed sparse matrix that multiplies node features, and that can be differentiated in either mode, repeatedly.

    torch's own sparse product has no forward mode.

    Parameters
    ----------
    matrix, transpose : Tensor, sparse CSR, shape (n, n)
        The same tensor where the matrix is symmetric.
    """

    def __init__(self, matrix: Tensor, transpose: Tensor) -> None:
        self.matrix, self.transpose = matrix, transpose

    @classmethod
    def from_scipy(cls, matrix: sparse.csr_array, *, dtype: torch.dtype, symmetric: bool = False) -> Propagation:
        """Propagation by a scipy matrix; `symmetric` saves its transpose."""
        found = _tensor(matrix, dtype)
        return cls(found, found if symmetric else _tensor(sparse.csr_array(matrix.T), dtype))

    def to(self, *args: Any, **kwargs: Any) -> Propagation:
        """The same on another device or of another type."""
        matrix = self.matrix.to(*args, **kwargs)
        return Propagation(matrix, matrix if self.transpose is self.matrix else self.transpose.to(*args, **kwargs))

    def __call__(self, values: Tensor) -> Tensor:
        """P times `values` (n, d)."""
        found: Tensor = _Product.apply(self, values)
        return found


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(operator: Propagation, values: Tensor) -> Tensor:
        return operator.matrix @ values

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.operator = inputs[0]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor]:
        return None, _Product.apply(Propagation(ctx.operator.transpose, ctx.operator.matrix), gradient)

    @staticmethod
    def jvp(ctx: Any, _: None, tangent: Tensor) -> Tensor:
        found: Tensor = _Product.apply(ctx.operator, tangent)
        return found


def _tensor(matrix: sparse.csr_array, dtype: torch.dtype) -> Tensor:
    pointers = torch.from_numpy(matrix.indptr.astype(np.int64))
    indices = torch.from_numpy(matrix.indices.astype(np.int64))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        warnings.filterwarnings("ignore", message="Sparse invariant checks")
        return torch.sparse_csr_tensor(pointers, indices, torch.from_numpy(matrix.data).to(dtype), matrix.shape)


@dataclass(frozen=True, eq=False)
class GraphBatch:
    """Graphs for `UnifiedGNN`.

    Parameters
    ----------
    features : Tensor, shape (Σn, d)
    propagate : Propagation
        By the block-diagonal diffusion matrix.
    graph : Tensor of int64, shape (Σn,)
        Which graph a node belongs to.
    sizes : Tensor, shape (G,)
        Number of nodes of each graph.
    """

    features: Tensor
    propagate: Propagation
    graph: Tensor
    sizes: Tensor

    def to(self, device: torch.device | str) -> GraphBatch:
        """The same on another device."""
        return GraphBatch(
            self.features.to(device), self.propagate.to(device), self.graph.to(device), self.sizes.to(device)
        )

    def __len__(self) -> int:
        return len(self.sizes)


@dataclass(frozen=True, eq=False)
class Prepared:
    """Graphs whose diffusion matrices are made once and then collated many times.

    Parameters
    ----------
    features : ndarray, shape (Σn, d)
    diffusion : csr_array, shape (Σn, Σn)
        Block-diagonal.
    starts : ndarray of int, shape (G + 1,)
        Where each graph's nodes begin.
    labels : Tensor of int64, shape (G,)
    symmetric : bool
        Whether the diffusion is.
    """

    features: Array
    diffusion: sparse.csr_array
    starts: Array
    labels: Tensor
    symmetric: bool

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, chosen: Sequence[int] | Array, *, dtype: torch.dtype = torch.float32) -> tuple[GraphBatch, Tensor]:
        """The chosen graphs as one batch, and their labels."""
        chosen = np.asarray(chosen, dtype=np.int64)
        sizes = np.diff(self.starts)[chosen]
        operator = Propagation.from_scipy(self._blocks(chosen, sizes), dtype=dtype, symmetric=self.symmetric)
        features = torch.from_numpy(self.features[_ranges(self.starts[chosen], sizes)]).to(dtype)
        owner = torch.from_numpy(np.repeat(np.arange(len(chosen)), sizes))
        return GraphBatch(features, operator, owner, torch.from_numpy(sizes).to(dtype)), self.labels[chosen]

    def block(self, index: int) -> tuple[sparse.csr_array, Array]:
        """Diffusion (n, n) and features (n, d) of one graph."""
        chosen = np.array([index])
        size = np.diff(self.starts)[chosen]
        return self._blocks(chosen, size), self.features[self.starts[index] : self.starts[index + 1]]

    def _blocks(self, chosen: Array, sizes: Array) -> sparse.csr_array:
        pointers = self.diffusion.indptr
        counts = np.diff(pointers[self.starts])[chosen]
        entries = _ranges(pointers[self.starts[chosen]], counts)
        shift = np.cumsum(sizes) - sizes - self.starts[chosen]
        indices = self.diffusion.indices[entries] + np.repeat(shift, counts)
        rows = np.diff(pointers)[_ranges(self.starts[chosen], sizes)]
        total = int(sizes.sum())
        return _csr(self.diffusion.data[entries], indices, np.concatenate([[0], np.cumsum(rows)]), total)

    def batches(self, size: int, *, dtype: torch.dtype = torch.float32) -> list[tuple[GraphBatch, Tensor]]:
        """All graphs, in order, in batches of `size`."""
        count = len(self)
        return [self.batch(range(i, min(i + size, count)), dtype=dtype) for i in range(0, count, size)]


def prepare(graphs: Sequence[Any], labels: Any = None, *, kind: Kind = "gcn", **options: float) -> Prepared:
    """Diffusion matrices, features and labels of graphs.

    Parameters
    ----------
    graphs : sequence of graphs
        With features, all of the same width.
    labels : sequence of int, shape (G,), optional
        The graphs' own by default.
    kind : str
        See `diffusion_matrix`, which takes `options`.

    Raises
    ------
    ValueError, TypeError
        If there is no graph, features are missing or differ in width, or there is not one label per graph.
    """
    found = as_graphs(graphs)
    features = [_features(graph, index) for index, graph in enumerate(found)]
    widths = {part.shape[1] for part in features}
    if len(widths) > 1:
        raise ValueError(f"graphs must all have the same number of features, got {sorted(widths)}")
    target = label_tensor(found, labels)
    starts = np.cumsum([0, *(graph.nodes for graph in found)])
    diffusion = diffuse_all([graph.adjacency for graph in found], kind, **options)
    return Prepared(np.concatenate(features), diffusion, starts, target, kind != "mean")


def label_tensor(graphs: Sequence[Graph], labels: Any = None) -> Tensor:
    """Labels as int64 (G,): those given, or the graphs' own.

    Raises
    ------
    TypeError
        If they are no whole numbers.
    ValueError
        If their number is not that of the graphs, or one is negative.
    """
    try:
        found = torch.as_tensor([graph.label for graph in graphs] if labels is None else np.asarray(labels).tolist())
    except (TypeError, ValueError) as error:
        raise TypeError(f"labels must be whole numbers, got {type(labels).__name__}") from error
    if found.is_floating_point() or found.dtype == torch.bool:
        raise TypeError(f"labels must be whole numbers, got {found.dtype}")
    if found.shape != (len(graphs),):
        raise ValueError(f"labels must have one entry per graph ({len(graphs)}), got shape {tuple(found.shape)}")
    if bool((found < 0).any()):
        raise ValueError(f"labels must not be negative, got {int(found.min())}")
    return found.long()


def _features(graph: Graph, index: int) -> Array:
    if graph.features is None:
        raise ValueError(f"graphs[{index}] must have features; with_features gives one-hot degrees or tags")
    return graph.features


def diffuse_all(adjacencies: Sequence[sparse.csr_array], kind: Kind, **options: float) -> sparse.csr_array:
    """Block-diagonal diffusion matrix of many graphs; at once where a diffusion looks no further than neighbours."""
    if choice("kind", kind, KINDS) in LOCAL:
        return diffuse(stack(adjacencies), kind, **options)
    return stack([diffuse(adjacency, kind, **options) for adjacency in adjacencies])


def stack(blocks: Sequence[sparse.csr_array]) -> sparse.csr_array:
    """Block-diagonal matrix of square blocks, by shifting indices."""
    sizes = np.array([block.shape[0] for block in blocks])
    counts = np.array([block.nnz for block in blocks])
    shift, taken = np.cumsum(sizes) - sizes, np.cumsum(counts) - counts
    indices = np.concatenate([block.indices for block in blocks]) + np.repeat(shift, counts)
    pointers = np.concatenate([block.indptr[:-1] for block in blocks]) + np.repeat(taken, sizes)
    data = np.concatenate([block.data for block in blocks])
    return _csr(data, indices, np.append(pointers, counts.sum()), int(sizes.sum()))


def _csr(data: Array, indices: Array, pointers: Array, size: int) -> sparse.csr_array:
    return sparse.csr_array((data, indices, pointers), shape=(size, size))


def _ranges(first: Array, counts: Array) -> Array:
    """The numbers from each `first` on, `counts` of them, one range after the other."""
    return np.repeat(first - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())
