"""The whole network: encoder, fusion with images, and a head that scores edges."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from reprise.road_safety.encoders import CONVOLUTIONS, Encoder
from reprise.road_safety.fusion import FUSIONS, MODULES
from reprise.road_safety.spatiotemporal import TEMPORAL, TemporalEncoder
from reprise.road_safety.validation import integer, number, one_of


class RoadGNN(nn.Module):
    """Score every road segment from the features of its ends and of itself.

    Parameters
    ----------
    in_node, in_edge : int
        Columns of the features of nodes and edges.
    hidden : int
    layers : int
    conv : {"gcn", "sage", "gin", "gat", "none"}, or {"dcrnn", "stgcn", "agcrn", "graph_wavenet"}
        "none": no messages, a network on the features of both ends. The last four read the months before, too.
    jk : {"last", "sum", "max", "concat"}
    fusion : {None, "basic", "gated", "moe"}
        How images are joined, if there are any.
    image_dim : int
        Columns of the image embedding; a flag for a missing image (a row of zeros) is added here.
    dropout : float
    residual : bool
    input_time_steps : int
        Months that a spatio-temporal encoder reads, the month itself being the last; 12 by default. Others read 1.
    num_nodes : int, optional
        For "agcrn" and "graph_wavenet", which learn an embedding of every node.

    Raises
    ------
    ValueError, TypeError

    Examples
    --------
    >>> model = RoadGNN(in_node=3, in_edge=2, hidden=8)
    >>> ends = torch.tensor([[0, 1], [1, 2]])
    >>> model(torch.randn(3, 3), torch.randn(2, 2), ends, torch.tensor([[0, 1], [1, 2]]), torch.tensor([0, 1])).shape
    torch.Size([2])
    """

    def __init__(
        self,
        in_node: int,
        in_edge: int,
        hidden: int = 256,
        layers: int = 2,
        conv: str = "gcn",
        jk: str = "last",
        fusion: str | None = None,
        image_dim: int = 0,
        *,
        dropout: float = 0.0,
        residual: bool = False,
        input_time_steps: int | None = None,
        num_nodes: int | None = None,
    ):
        super().__init__()
        in_node, in_edge = integer("in_node", in_node), integer("in_edge", in_edge)
        hidden, layers = integer("hidden", hidden), integer("layers", layers)
        image_dim = integer("image_dim", image_dim, minimum=0)
        one_of("conv", conv, (*CONVOLUTIONS, "none", *TEMPORAL))
        temporal = conv in TEMPORAL
        steps = 12 if temporal else 1
        if input_time_steps is not None:
            steps = integer("input_time_steps", input_time_steps)
        if not temporal and steps != 1:
            raise ValueError(f"input_time_steps must be 1 for conv={conv!r}, which reads one month, got {steps}")
        one_of("jk", jk, ("last", "sum", "max", "concat"))
        dropout = number("dropout", dropout, low=0.0, high=1.0)
        if (fusion is None) != (image_dim == 0):
            raise ValueError(f"fusion and image_dim belong together, got fusion={fusion!r} and image_dim={image_dim}")
        self.input_time_steps, self.image_dim = steps, image_dim
        self.encoder: nn.Module | None = None
        width = in_node
        if temporal:
            self.encoder = TemporalEncoder(in_node, in_edge, hidden, layers, conv, steps, num_nodes, dropout)
            width = hidden
        elif conv != "none":
            encoder = Encoder(in_node, in_edge, hidden, layers, conv, jk, dropout, residual)
            self.encoder, width = encoder, encoder.width
        self.fusion: nn.Module | None = None
        if fusion is not None:
            fused = MODULES[one_of("fusion", fusion, FUSIONS)](width, image_dim + 1)
            self.fusion, width = fused, fused.width
        self.width = width
        self.head = nn.Sequential(nn.Linear(2 * width + in_edge, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def encode(self, x: Tensor, z: Tensor, edge_index: Tensor, z_row: Tensor, images: Tensor | None = None) -> Tensor:
        """Return embeddings of the nodes.

        Parameters
        ----------
        x : Tensor, shape (N, in_node), or (input_time_steps, N, in_node)
            Months in order for a spatio-temporal encoder.
        z : Tensor, shape (E, in_edge)
        edge_index : Tensor, shape (2, M)
            Messages: two per two-way segment.
        z_row : Tensor, shape (M,)
            The segment of each message.
        images : Tensor, shape (N, image_dim), optional
        """
        h = x if self.encoder is None else self.encoder(x, edge_index, z[z_row])
        if self.fusion is None:
            return h
        if images is None:
            raise ValueError("images must be given to a model with fusion")
        missing = (images == 0).all(dim=1, keepdim=True).to(images.dtype)
        fused: Tensor = self.fusion(h, torch.cat([images, missing], dim=1))
        return fused

    def score(self, h: Tensor, z: Tensor, ends: Tensor) -> Tensor:
        """Return logits, or expected counts for regression, of edges with these ends and features, shape (k,)."""
        out: Tensor = self.head(edge_features(h, z, ends))
        return out.squeeze(1)

    def forward(
        self,
        x: Tensor,
        z: Tensor,
        ends: Tensor,
        edge_index: Tensor,
        z_row: Tensor,
        images: Tensor | None = None,
        edges: Tensor | None = None,
    ) -> Tensor:
        """Return scores of all edges, or of some, shape (E,) or (k,)."""
        h = self.encode(x, z, edge_index, z_row, images)
        return self.score(h, z, ends) if edges is None else self.score(h, z[edges], ends[:, edges])


def edge_features(h: Tensor, z: Tensor, ends: Tensor) -> Tensor:
    """Return ``[h_u, h_v, z_e]`` of edges, shape (k, 2 · width + in_edge)."""
    return torch.cat([h[ends[0]], h[ends[1]], z], dim=1)
