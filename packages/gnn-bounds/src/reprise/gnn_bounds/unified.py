"""The unified message-passing network of the paper: GCN, MPGNN, GraphSAGE and GIN by choice of P, U and φ, ρ, ψ.

``H⁽ᵗ⁾ = φ(X U⁽ᵗ⁾ + ρ(P ψ(H⁽ᵗ⁻¹⁾)) W⁽ᵗ⁾)`` for t < l, then ``H⁽ˡ⁾ = (1/n) 1ᵀ H⁽ˡ⁻¹⁾ W⁽ˡ⁾``.

=========  =======================  ======  =================================  ==========
kind       P                        U       φ, ρ, ψ                            H⁽⁰⁾
=========  =======================  ======  =================================  ==========
``gcn``    D̃^(-1/2)(A+I)D̃^(-1/2)   0       ReLU, identity, identity           X
``mpgnn``  A                        free    ReLU, tanh, tanh                   0
``sage``   D^(-1) A                 free    ReLU, identity, identity           X
``gin``    A + (1 + ε) I            0       ReLU of a matrix of ReLU, id., id.  X
=========  =======================  ======  =================================  ==========
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from reprise.gnn_bounds.batch import GraphBatch
from reprise.gnn_bounds.diffusion import Kind
from reprise.gnn_bounds.validation import choice, whole

Architecture = Literal["gcn", "mpgnn", "sage", "gin"]
DIFFUSION: dict[Architecture, Kind] = {"gcn": "gcn", "mpgnn": "adjacency", "sage": "mean", "gin": "gin"}


class UnifiedGNN(nn.Module):
    """A message-passing network of depth l for graph-level prediction.

    Parameters
    ----------
    in_dim : int
        Number of node features d_0.
    width : int
        Width of every layer.
    classes : int
        Number of outputs k.
    depth : int
        l, which counts the read-out: at least 2, a single round of message passing.
    kind : "gcn", "mpgnn", "sage" or "gin"
        See the table at the head of this module.
    share_weights : bool
        One W and one U for all rounds; where the first round's W has another shape (H⁽⁰⁾ = X), for all but the first.
    pooling : "mean" or "sum"
        Over the nodes, before the read-out.
    activation : "relu", "tanh" or "identity"
        φ.
    generator : torch.Generator, optional
        Source of the initial weights, uniform within ±√(6/(fan in + fan out)); torch's own by default.

    Raises
    ------
    ValueError, TypeError
        For sizes below 1, a depth below 2, or an unknown kind, pooling or activation.

    Examples
    --------
    >>> import networkx
    >>> from reprise.gnn_bounds import Graph, prepare, with_features
    >>> graphs = with_features([Graph(networkx.cycle_graph(n), label=0) for n in (3, 4)], "constant")
    >>> batch, labels = prepare(graphs, kind="gcn").batch([0, 1])
    >>> UnifiedGNN(1, 8, 2, 3)(batch).shape
    torch.Size([2, 2])
    """

    def __init__(
        self,
        in_dim: int,
        width: int,
        classes: int,
        depth: int,
        kind: Architecture = "gcn",
        share_weights: bool = True,
        pooling: Literal["mean", "sum"] = "mean",
        *,
        activation: Literal["relu", "tanh", "identity"] = "relu",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        in_dim, width, classes = whole("in_dim", in_dim), whole("width", width), whole("classes", classes)
        self.in_dim, self.depth, self.classes = in_dim, whole("depth", depth, least=2), classes
        self.kind: Architecture = choice("kind", kind, tuple(DIFFUSION))
        self.pooling = choice("pooling", pooling, ("mean", "sum"))
        self.activation = choice("activation", activation, ("relu", "tanh", "identity"))
        if not isinstance(share_weights, (bool, np.bool_)):
            raise TypeError(f"share_weights must be True or False, got {share_weights!r}")
        self.share_weights = bool(share_weights)
        own = kind in ("mpgnn", "sage")
        rounds = depth - 1
        # which matrix each round uses
        if kind == "mpgnn":  # H⁽⁰⁾ = 0: the first round's W multiplies zeros
            self.round_of = [0 if share_weights else t for t in range(rounds)]
            sizes = [width] * (1 if share_weights else rounds)
        else:
            self.round_of = [min(t, 1) if share_weights else t for t in range(rounds)]
            sizes = [in_dim] + [width] * max(self.round_of)
        self.neighbour = nn.ParameterList([_initial(size, width, generator) for size in sizes])
        self.inner = nn.ParameterList([_initial(width, width, generator) for _ in sizes] if kind == "gin" else [])
        self.own = nn.ParameterList([_initial(in_dim, width, generator) for _ in sizes] if own else [])
        self.readout = nn.Parameter(_initial(width, classes, generator))

    @property
    def diffusion(self) -> Kind:
        """Which diffusion matrix P the network expects."""
        return DIFFUSION[self.kind]

    def layer_names(self) -> list[tuple[str, ...]]:
        """Names of the weights of every layer in the order of the forward pass, repeated where they are shared."""
        names: list[tuple[str, ...]] = []
        for place in self.round_of:
            pair = (f"neighbour.{place}", f"own.{place}") if len(self.own) else (f"neighbour.{place}",)
            names.append(pair)
            if len(self.inner):
                names.append((f"inner.{place}",))
        return [*names, ("readout",)]

    def forward(self, batch: GraphBatch) -> Tensor:
        """Outputs of a batch of graphs, shape (G, classes)."""

        def pool(values: Tensor) -> Tensor:
            total = values.new_zeros(len(batch), values.shape[-1]).index_add(0, batch.graph, values)
            return total / batch.sizes[:, None] if self.pooling == "mean" else total

        return self.compute(batch.features, batch.propagate, pool)

    def compute(
        self, features: Tensor, propagate: Callable[[Tensor], Tensor], pool: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """Outputs from features (…, n, d_0), a product with P and a pooling over nodes, however these are formed."""
        activations: dict[str, Callable[[Tensor], Tensor]] = {"relu": torch.relu, "tanh": torch.tanh}
        phi: Callable[[Tensor], Tensor] = activations.get(self.activation, torch.positive)
        state: Tensor | None = None if self.kind == "mpgnn" else features
        for place in self.round_of:
            update: Tensor | None = None
            if state is not None and self.kind == "mpgnn":
                update = torch.tanh(propagate(torch.tanh(state))) @ self.neighbour[place]
            elif state is not None:
                # (P H) W = P (H W): the narrower of the two is propagated
                weight = self.neighbour[place]
                narrow = weight.shape[0] > weight.shape[1]
                update = propagate(state @ weight) if narrow else propagate(state) @ weight
            if len(self.own):
                direct = features @ self.own[place]
                update = direct if update is None else direct + update
            assert update is not None
            state = phi(update)
            if len(self.inner):
                state = phi(state @ self.inner[place])
        assert state is not None
        return pool(state) @ self.readout


class Dense(nn.Module):
    """The same network on padded dense graphs, for transforms that sparse matrices do not know (vmap).

    Parameters
    ----------
    network : UnifiedGNN
    """

    def __init__(self, network: UnifiedGNN) -> None:
        super().__init__()
        self.network = network

    def forward(self, diffusion: Tensor, features: Tensor, share: Tensor) -> Tensor:
        """Outputs (G, k) of diffusions (G, n, n), features (G, n, d_0) and the weight of each node (G, n)."""
        return self.network.compute(
            features, lambda values: diffusion @ values, lambda values: (share[..., None] * values).sum(-2)
        )


def _initial(fan_in: int, fan_out: int, generator: torch.Generator | None) -> Tensor:
    bound = math.sqrt(6 / (fan_in + fan_out))
    return bound * (2 * torch.rand(fan_in, fan_out, generator=generator) - 1)
