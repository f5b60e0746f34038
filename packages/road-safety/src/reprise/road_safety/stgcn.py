"""Spatio-temporal graph convolutional network (Yu, Yin and Zhu, IJCAI 2018): gated convolutions in time around one on
the graph."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, nn

from reprise.road_safety.diffusion import EdgeWeight

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # torch deprecates its own torch.jit, which torch_geometric still calls
    from torch_geometric.nn import ChebConv

KERNEL = 3  # months
ORDERS = 3  # Chebyshev polynomials of degree 0 to 2


class GatedConvolution(nn.Module):
    """``(P + R) · σ(Q)``: a gated linear unit over months with a residual, without padding (section 3.3)."""

    def __init__(self, into: int, out: int, kernel: int):
        super().__init__()
        self.both = nn.Conv1d(into, 2 * out, kernel)
        self.residual = nn.Conv1d(into, out, kernel)

    def forward(self, x: Tensor) -> Tensor:
        """Return shape (T − kernel + 1, N, out) from (T, N, into)."""
        series = x.permute(1, 2, 0)
        value, gate = self.both(series).chunk(2, dim=1)
        gated: Tensor = (value + self.residual(series)) * torch.sigmoid(gate)
        return gated.permute(2, 0, 1)


class Block(nn.Module):
    """Time, graph, time, and normalisation (section 3.4)."""

    def __init__(self, into: int, hidden: int, kernel: int):
        super().__init__()
        self.before = GatedConvolution(into, hidden, kernel)
        self.graph = ChebConv(hidden, hidden, ORDERS)
        self.after = GatedConvolution(hidden, hidden, kernel)
        self.norm = nn.LayerNorm(hidden)

    def forward(self, x: Tensor, edge_index: Tensor, weight: Tensor) -> Tensor:
        """Return shape (T − 2 (kernel − 1), N, hidden)."""
        h = torch.relu(self.graph(self.before(x), edge_index, weight))
        normed: Tensor = self.norm(self.after(h))
        return normed


class STGCN(nn.Module):
    """Blocks, and a last convolution over the months that are left.

    Notes
    -----
    A block takes 2 (kernel − 1) months away. Kernels of 3 months as published, of 2 where there are too few months.
    """

    def __init__(self, in_node: int, in_edge: int, hidden: int, layers: int, steps: int):
        super().__init__()
        kernel = min(KERNEL, 1 + (steps - 1) // (2 * layers))
        if kernel < 2:
            raise ValueError(f"input_time_steps must be at least {2 * layers + 1} for {layers} layers, got {steps}")
        self.weight = EdgeWeight(in_edge)
        self.blocks = nn.ModuleList(Block(in_node if not i else hidden, hidden, kernel) for i in range(layers))
        self.last = GatedConvolution(hidden, hidden, steps - 2 * layers * (kernel - 1))

    def forward(self, x: Tensor, edge_index: Tensor, z: Tensor) -> Tensor:
        """Return embeddings of the nodes from features of shape (T, N, in_node), shape (N, hidden)."""
        weight = self.weight(z)
        for block in self.blocks:
            x = block(x, edge_index, weight)
        found: Tensor = self.last(x)[0]
        return found
