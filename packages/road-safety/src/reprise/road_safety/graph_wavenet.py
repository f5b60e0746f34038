"""Graph WaveNet (Wu, Pan, Long, Jiang and Zhang, IJCAI 2019): gated dilated convolutions in time, diffusion on the
graph and on one that is learnt."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from reprise.road_safety.diffusion import AdaptiveAdjacency, EdgeWeight, Walks

HOPS = 2


class Layer(nn.Module):
    """``tanh(time) · σ(time)``, then diffusion, with a residual; causal, so that the last month sees only the past."""

    def __init__(self, hidden: int, dilation: int):
        super().__init__()
        self.time = nn.Conv1d(hidden, 2 * hidden, 2, dilation=dilation)
        self.walks = Walks(HOPS)
        # The state itself, walks both ways, and as many steps on the learnt graph (equation 7).
        self.mix = nn.Linear((1 + 3 * HOPS) * hidden, hidden)
        self.norm = nn.BatchNorm1d(hidden)
        self.dilation = dilation

    def forward(
        self, x: Tensor, edge_index: Tensor, weight: Tensor, adjacency: AdaptiveAdjacency, matrix: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return the next input and what was gated, shapes (T, N, hidden)."""
        series = nn.functional.pad(x.permute(1, 2, 0), (self.dilation, 0))
        value, gate = self.time(series).chunk(2, dim=1)
        gated = (torch.tanh(value) * torch.sigmoid(gate)).permute(2, 0, 1)
        found = self.walks(gated, edge_index, weight)
        learnt = gated
        for _ in range(HOPS):
            learnt = adjacency(learnt, matrix)
            found.append(learnt)
        new = self.mix(torch.cat(found, dim=-1)) + x
        return self.norm(new.flatten(0, 1)).view_as(new), gated


class GraphWaveNet(nn.Module):
    """Layers with dilations 1, 2, 4, … in turn, whose gated outputs are summed.

    Notes
    -----
    Dilations double until they cover the months and then begin anew. Padding on the left keeps all months; only the
    last one is read in the end.
    """

    def __init__(self, in_node: int, in_edge: int, hidden: int, layers: int, steps: int, num_nodes: int, dim: int = 10):
        super().__init__()
        self.weight = EdgeWeight(in_edge)
        self.adjacency = AdaptiveAdjacency(num_nodes, dim, shared=False)
        self.first = nn.Linear(in_node, hidden)
        turns = max((steps - 1).bit_length(), 1)
        self.layers = nn.ModuleList(Layer(hidden, 2 ** (index % turns)) for index in range(layers))
        self.skips = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(layers))
        self.last = nn.Linear(hidden, hidden)

    def forward(self, x: Tensor, edge_index: Tensor, z: Tensor) -> Tensor:
        """Return embeddings of the nodes from features of shape (T, N, in_node), shape (N, hidden)."""
        weight, matrix = self.weight(z), self.adjacency.matrix()
        h = self.first(x)
        total = h.new_zeros(h.shape[1:])
        for layer, skip in zip(self.layers, self.skips):
            h, gated = layer(h, edge_index, weight, self.adjacency, matrix)
            total = total + skip(gated[-1])
        found: Tensor = self.last(torch.relu(total))
        return found
