"""Graph encoders that read features of edges as well as of nodes.

Messages along an edge (u, v) are ``W_n h_u + W_e z_uv``, as in Nippani et al. (2023); they differ in how a node gathers
them. Self-loops have edge features of zero.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor, nn

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # torch deprecates its own torch.jit, which torch_geometric still calls
    from torch_geometric.nn import MessagePassing
    from torch_geometric.utils import degree, softmax

CONVOLUTIONS = ("gcn", "sage", "gin", "gat")


class EdgeConv(MessagePassing):  # type: ignore[misc]
    """``W_n h_u + W_e z_uv``, with a weight of its own for every message.

    Parameters
    ----------
    in_node, in_edge, out : int
    aggregation : {"add", "mean"}
    """

    def __init__(self, in_node: int, in_edge: int, out: int, aggregation: str = "add"):
        super().__init__(aggr=aggregation)
        self.node = nn.Linear(in_node, out)
        self.edge = nn.Linear(in_edge, out, bias=False)

    def forward(self, h: Tensor, edge_index: Tensor, z: Tensor, weight: Tensor | None = None) -> Tensor:
        """Return what every node gathers, shape (N, out)."""
        scale = torch.ones(edge_index.shape[1], device=h.device) if weight is None else weight
        gathered: Tensor = self.propagate(edge_index, h=self.node(h), z=self.edge(z), scale=scale)
        return gathered

    def message(self, h_j: Tensor, z: Tensor, scale: Tensor) -> Tensor:
        """Return the messages, shape (edges, out)."""
        return scale[:, None] * (h_j + z)


class GCN(nn.Module):
    """Messages weighted by ``(d_u d_v)^(-1/2)``."""

    def __init__(self, in_node: int, in_edge: int, out: int):
        super().__init__()
        self.conv = EdgeConv(in_node, in_edge, out)

    def forward(self, h: Tensor, edge_index: Tensor, z: Tensor) -> Tensor:
        """Return shape (N, out)."""
        root = degree(edge_index[1], h.shape[0]).clamp(min=1).rsqrt()
        gathered: Tensor = self.conv(h, edge_index, z, root[edge_index[0]] * root[edge_index[1]])
        return gathered


class SAGE(nn.Module):
    """Mean of the messages, each row scaled to length one."""

    def __init__(self, in_node: int, in_edge: int, out: int):
        super().__init__()
        self.conv = EdgeConv(in_node, in_edge, out, "mean")

    def forward(self, h: Tensor, edge_index: Tensor, z: Tensor) -> Tensor:
        """Return shape (N, out)."""
        return nn.functional.normalize(self.conv(h, edge_index, z))


class GIN(nn.Module):
    """Sum of the messages through a network of two layers, the middle one twice as wide."""

    def __init__(self, in_node: int, in_edge: int, out: int):
        super().__init__()
        self.conv = EdgeConv(in_node, in_edge, out)
        self.mlp = nn.Sequential(nn.Linear(out, 2 * out), nn.ReLU(), nn.Linear(2 * out, out))

    def forward(self, h: Tensor, edge_index: Tensor, z: Tensor) -> Tensor:
        """Return shape (N, out)."""
        out: Tensor = self.mlp(self.conv(h, edge_index, z))
        return out


class GAT(MessagePassing):  # type: ignore[misc]
    """Attention over the messages that arrive at a node, two heads, averaged.

    Notes
    -----
    The authors' code normalises over the messages that leave a node while it adds up those that arrive; here both are
    those that arrive.
    """

    def __init__(self, in_node: int, in_edge: int, out: int, heads: int = 2):
        super().__init__(aggr="add", node_dim=0)
        self.node = nn.Linear(in_node, heads * out)
        self.edge = nn.Linear(in_edge, heads * out, bias=False)
        self.source, self.target = (nn.Parameter(torch.empty(heads, out)) for _ in range(2))
        for parameter in (self.source, self.target):
            nn.init.xavier_uniform_(parameter)
        self.shape = (heads, out)

    def forward(self, h: Tensor, edge_index: Tensor, z: Tensor) -> Tensor:
        """Return shape (N, out)."""
        h, z = self.node(h).view(-1, *self.shape), self.edge(z).view(-1, *self.shape)
        gathered: Tensor = self.propagate(edge_index, h=h, z=z)
        return gathered.mean(dim=1)

    def message(self, h_i: Tensor, h_j: Tensor, z: Tensor, index: Tensor, size_i: int | None) -> Tensor:
        """Return the weighted messages, shape (edges, heads, out)."""
        sent = h_j + z
        score = nn.functional.leaky_relu((sent * self.source + h_i * self.target).sum(-1), 0.2)
        attention: Tensor = softmax(score, index, num_nodes=size_i)
        return attention[..., None] * sent


_LAYERS = {"gcn": GCN, "sage": SAGE, "gin": GIN, "gat": GAT}


class Encoder(nn.Module):
    """Layers of one convolution with batch normalisation, and ReLU and dropout between them.

    Parameters
    ----------
    in_node, in_edge, hidden : int
    layers : int
    conv : {"gcn", "sage", "gin", "gat"}
    jk : {"last", "sum", "max", "concat"}
        How the outputs of the layers become one.
    dropout : float
    residual : bool
        Add the input of a layer to its output where shapes agree.
    """

    def __init__(
        self,
        in_node: int,
        in_edge: int,
        hidden: int,
        layers: int,
        conv: str,
        jk: str = "last",
        dropout: float = 0.0,
        residual: bool = False,
    ):
        super().__init__()
        widths = [in_node, *[hidden] * layers]
        self.convolutions = nn.ModuleList(_LAYERS[conv](width, in_edge, hidden) for width in widths[:-1])
        self.norms = nn.ModuleList(nn.BatchNorm1d(hidden) for _ in range(layers))
        self.dropout = nn.Dropout(dropout)
        self.jk, self.residual = jk, residual
        self.width = hidden * layers if jk == "concat" else hidden

    def forward(self, x: Tensor, edge_index: Tensor, z: Tensor) -> Tensor:
        """Return embeddings of the nodes, shape (N, width)."""
        loops = torch.arange(x.shape[0], device=x.device).expand(2, -1)
        edge_index = torch.cat([edge_index, loops], dim=1)
        z = torch.cat([z, z.new_zeros(x.shape[0], z.shape[1])])
        h, outputs = x, []
        for index, (convolution, norm) in enumerate(zip(self.convolutions, self.norms)):
            new = norm(convolution(h, edge_index, z))
            if self.residual and new.shape == h.shape:
                new = new + h
            outputs.append(new)
            h = self.dropout(torch.relu(new)) if index < len(self.norms) - 1 else new
        joined: Tensor = _jump(outputs, self.jk)
        return joined


def _jump(outputs: list[Tensor], kind: str) -> Any:
    if kind == "last":
        return outputs[-1]
    if kind == "concat":
        return torch.cat(outputs, dim=1)
    stacked = torch.stack(outputs)
    return stacked.sum(dim=0) if kind == "sum" else stacked.max(dim=0).values
