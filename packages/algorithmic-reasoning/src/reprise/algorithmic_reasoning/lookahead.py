"""Task groups from lookahead losses (TAG; Fifty et al. 2021): does a step for one task lower the loss of another?

One of the paper's baselines. While one network of all tasks trains, every task's gradient is tried on its own, and the
loss of every task is measured behind that step; averaged over training, that is an affinity.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reprise.algorithmic_reasoning.losses import loss
from reprise.algorithmic_reasoning.network import Reasoner
from reprise.algorithmic_reasoning.training import fit, fresh_graphs
from reprise.algorithmic_reasoning.validation import integer, number

Matrix = np.ndarray[Any, np.dtype[np.float64]]


def lookahead_affinity(
    model: Reasoner,
    *,
    steps: int,
    every: int = 10,
    step_size: float = 1e-2,
    clip: float = 1.0,
    batch_size: int = 4,
    nodes: int = 16,
    lr: float = 2.5e-4,
    generator: torch.Generator | None = None,
) -> Matrix:
    """How much a step for one task lowers the loss of another, averaged over training.

    Parameters
    ----------
    model : Reasoner
        Of all tasks, sharing every layer; trained in place.
    steps : int
        Of training.
    every : int
        Steps between two looks ahead.
    step_size : float
        Of the steps that are tried, along the gradient by the shared weights.
    clip : float
        Largest norm of a gradient.
    batch_size, nodes, lr, generator
        As of `fit`.

    Returns
    -------
    float64 array, shape (n, n)
        Z with Z_ij the mean of 1 − L_i(behind a step for j) / L_i: row i is the task scored, as in `Affinity`.

    Raises
    ------
    ValueError
        If a number is out of range.

    Notes
    -----
    A look ahead costs n gradients and n² losses; the optimizer's momentum begins anew behind it.

    References
    ----------
    .. [1] Fifty et al. (2021). Efficiently identifying task groupings for multi-task learning. NeurIPS.

    Examples
    --------
    >>> model = Reasoner(["bfs", "dfs"], "mpnn", hidden=8, layers=1)
    >>> lookahead_affinity(model, steps=2, every=1, nodes=5).shape
    (2, 2)
    """
    integer("every", every)
    number("step_size", step_size, open_=True)
    number("clip", clip, open_=True)
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    looks = []
    for done in range(0, integer("steps", steps), every):
        fit(
            model,
            steps=min(every, steps - done),
            batch_size=batch_size,
            nodes=nodes,
            lr=lr,
            clip=clip,
            validate_every=0,
            generator=generator,
        )
        looks.append(_look(model, step_size, clip, batch_size, nodes, generator))
    result: Matrix = np.mean(looks, axis=0)
    return result


def _look(
    model: Reasoner, step_size: float, clip: float, batch_size: int, nodes: int, generator: torch.Generator
) -> Matrix:
    """One look ahead, on one batch of every task."""
    device = next(model.parameters()).device
    batches = [fresh_graphs(name, nodes, batch_size, generator, training=True).to(device) for name in model.routes]
    shared = {name: p for name, p in model.named_parameters() if name.startswith("processor.")}

    def losses(weights: Mapping[str, Tensor]) -> list[Tensor]:
        return [loss(torch.func.functional_call(model, dict(weights), (batch,)), batch) for batch in batches]

    before = losses(shared)
    found = []
    for value in before:
        gradients = torch.autograd.grad(value, list(shared.values()), allow_unused=True)
        present = {name: g for name, g in zip(shared, gradients) if g is not None}
        norm = torch.cat([g.flatten() for g in present.values()]).norm()
        step = step_size * min(1.0, clip / max(float(norm), 1e-12))
        with torch.no_grad():
            behind = losses({name: p - step * present[name] if name in present else p for name, p in shared.items()})
        found.append([1 - float(late) / float(early.detach()) for late, early in zip(behind, before)])
    return np.array(found).T
