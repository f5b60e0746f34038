"""The encoders that read several months, by name, in the form in which the network asks for them.

Each reads the features of the nodes of the last months, every month its own (the authors' loader reads one month as
often as there should be months), and the edges with their features of the present one.
"""

from __future__ import annotations

from torch import Tensor, nn

from reprise.road_safety.agcrn import AGCRN
from reprise.road_safety.dcrnn import DCRNN
from reprise.road_safety.graph_wavenet import GraphWaveNet
from reprise.road_safety.stgcn import STGCN
from reprise.road_safety.validation import integer

TEMPORAL = ("dcrnn", "stgcn", "agcrn", "graph_wavenet")
TRANSDUCTIVE = ("agcrn", "graph_wavenet")  # they learn something of every single node


class TemporalEncoder(nn.Module):
    """A spatio-temporal encoder, with normalisation and dropout of what it returns.

    Parameters
    ----------
    in_node, in_edge, hidden, layers : int
    conv : {"dcrnn", "stgcn", "agcrn", "graph_wavenet"}
    steps : int
        Months.
    num_nodes : int, optional
        For "agcrn" and "graph_wavenet".
    dropout : float

    Raises
    ------
    ValueError
        If `num_nodes` is missing, or there are too few months for the layers of "stgcn".
    """

    def __init__(
        self,
        in_node: int,
        in_edge: int,
        hidden: int,
        layers: int,
        conv: str,
        steps: int,
        num_nodes: int | None = None,
        dropout: float = 0.0,
    ):
        super().__init__()
        nodes = 0
        if conv in TRANSDUCTIVE:
            if num_nodes is None:
                raise ValueError(f"num_nodes must be given for conv={conv!r}, which learns an embedding of every node")
            nodes = integer("num_nodes", num_nodes)
        self.steps, self.nodes = steps, nodes
        self.network: nn.Module
        if conv == "dcrnn":
            self.network = DCRNN(in_node, in_edge, hidden, layers)
        elif conv == "stgcn":
            self.network = STGCN(in_node, in_edge, hidden, layers, steps)
        elif conv == "agcrn":
            self.network = AGCRN(in_node, hidden, layers, nodes)
        else:
            self.network = GraphWaveNet(in_node, in_edge, hidden, layers, steps, nodes)
        self.norm, self.dropout = nn.BatchNorm1d(hidden), nn.Dropout(dropout)

    def forward(self, x: Tensor, edge_index: Tensor, z: Tensor) -> Tensor:
        """Return embeddings of the nodes, shape (N, hidden).

        Parameters
        ----------
        x : Tensor, shape (steps, N, in_node); of one step also (N, in_node)
        edge_index : Tensor, shape (2, M)
        z : Tensor, shape (M, in_edge)

        Raises
        ------
        ValueError
            If x has another number of months or nodes than the network was made for.
        """
        months = x[None] if x.ndim == 2 else x
        if len(months) != self.steps:
            raise ValueError(f"x must have {self.steps} months, shape ({self.steps}, N, p), got {tuple(x.shape)}")
        if self.nodes and months.shape[1] != self.nodes:
            raise ValueError(f"x must have the num_nodes of the model, {self.nodes}, got {months.shape[1]}")
        found: Tensor = self.dropout(self.norm(self.network(months, edge_index, z)))
        return found
