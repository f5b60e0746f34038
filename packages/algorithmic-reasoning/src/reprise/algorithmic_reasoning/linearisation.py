"""Margins of all predictions and their gradients: what a network would say after a small move of its weights.

Every prediction of a mask, a one-hot vector or a pointer is a binary one with a margin F, and to first order
F(W) = F(θ) + ⟨∇F(θ), W − θ⟩. Projected to a few hundred numbers, gradients of one network then stand for all the
networks near it (Li, Sharma and Zhang 2024; Algorithm 1 of the paper).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from reprise.algorithmic_reasoning.losses import MASKED, Prediction
from reprise.algorithmic_reasoning.network import Reasoner
from reprise.algorithmic_reasoning.probes import Probe, spec
from reprise.algorithmic_reasoning.trajectories import Trajectories
from reprise.algorithmic_reasoning.validation import integer
from reprise.tasks import (
    RandomProjection,
    TaskFeatures,
    binary_margin,
    multiclass_margin,
    output_gradients,
    parameter_count,
)

Hints = bool | Literal["first"]


def margins(prediction: Prediction, trajectories: Trajectories, *, hints: Hints = True) -> tuple[Tensor, Tensor]:
    """Margin and sign of every prediction of nodes and edges.

    Parameters
    ----------
    prediction : Prediction
    trajectories : Trajectories
    hints : bool or "first"
        Also of the hints, at the steps that each graph takes; with ``"first"``, where an algorithm has more than two,
        of the first alone, as the authors' program does.

    Returns
    -------
    margins, signs : Tensor, shape (K,)
        ``log(1 + exp(-sign * margin))`` is the prediction's loss. Scalars and probes of the graph are left out.

    Raises
    ------
    ValueError
        If `hints` is something else.
    """
    if not isinstance(hints, bool) and hints != "first":
        raise ValueError(f"hints must be True, False or 'first', got {hints!r}")
    probes = spec(trajectories.name)
    values: list[Tensor] = []
    signs: list[Tensor] = []
    for name, logits in prediction.outputs.items():
        _append(values, signs, probes[name], logits, trajectories.outputs[name], None)
    if hints:
        names = list(prediction.hints)
        if hints == "first" and len(names) > 2:
            names = [next(name for name in probes if name in prediction.hints)]
        for name in names:
            logits = prediction.hints[name]
            step = torch.arange(1, 1 + len(logits), device=trajectories.lengths.device)
            taken = step[:, None] < trajectories.lengths
            _append(values, signs, probes[name], logits, trajectories.hints[name][1 : 1 + len(logits)], taken)
    return torch.cat(values), torch.cat(signs)


def _append(
    values: list[Tensor], signs: list[Tensor], probe: Probe, logits: Tensor, truth: Tensor, taken: Tensor | None
) -> None:
    if probe.type == "scalar" or probe.location == "graph":
        return
    if probe.type == "mask":
        margin, sign = binary_margin(logits, truth.clamp_min(0))
        counts = truth != MASKED
    else:
        target = truth if probe.type == "pointer" else truth.argmax(dim=-1)
        margin = multiclass_margin(logits, target)
        sign, counts = torch.ones_like(margin), torch.ones_like(target, dtype=torch.bool)
    if taken is not None:
        counts = counts & taken.reshape(*taken.shape, *(1,) * (counts.ndim - 2))
    values.append(margin[counts])
    signs.append(sign[counts])


def layer_parameters(model: Reasoner, name: str, *, layer: int = 0) -> list[str]:
    """Names of the processor's weights that a task uses from a layer on, without those of layer normalisation.

    Parameters
    ----------
    model : Reasoner
    name : str
        The task.
    layer : int
        The first layer; what comes before is taken as given.

    Raises
    ------
    ValueError
        If there is no such layer.
    """
    integer("layer", layer, minimum=0, maximum=len(model.structure.layers) - 1, limit="the number of layers - 1")
    found = []
    for depth, module in list(enumerate(model.routes[name]))[layer:]:
        part = model.processor.layers[depth][module]  # type: ignore[index]
        norms = {id(p) for m in part.modules() if isinstance(m, nn.LayerNorm) for p in m.parameters()}
        found += [
            f"processor.layers.{depth}.{module}.{key}" for key, p in part.named_parameters() if id(p) not in norms
        ]
    return found


def gradient_features(
    model: Reasoner,
    trajectories: Trajectories,
    *,
    layer: int = 0,
    dim: int = 400,
    rows: int | None = None,
    hints: Hints = True,
    offset: bool = True,
    seed: int = 0,
    chunk_size: int | None = None,
) -> TaskFeatures:
    """Projected gradients of a task's margins, with their signs and offsets.

    Parameters
    ----------
    model : Reasoner
    trajectories : Trajectories
        Of one of its tasks; one graph at a time is run.
    layer : int
        Gradients are by the weights of the processor from this layer on.
    dim : int
        d_p.
    rows : int, optional
        At most so many predictions per graph, drawn uniformly.
    hints : bool or "first"
        Take predictions of hints as well as of outputs, as `margins` does.
    offset : bool
        Keep the margins at the present weights; without them features are fitted through 0.
    seed : int
        Of the projection, which must be the same for tasks that are fitted together, and of the draw.
    chunk_size : int, optional
        Gradients at once.

    Returns
    -------
    TaskFeatures
        For `reprise.tasks`.

    Raises
    ------
    ValueError
        If the model was not made for this algorithm, or a number is out of range.
    """
    if trajectories.name not in model.routes:
        raise ValueError(f"trajectories must be of {', '.join(model.routes)}, got {trajectories.name}")
    integer("dim", dim)
    integer("seed", seed, minimum=0)
    chosen = layer_parameters(model, trajectories.name, layer=layer)
    projection = RandomProjection(parameter_count(model, chosen), dim, seed=seed)
    device = next(model.parameters()).device
    features, offsets, labels = [], [], []
    for graph in range(len(trajectories)):
        one = trajectories.select([graph]).to(device)

        def values(model: Any, one: Trajectories = one) -> Tensor:
            return margins(model(one, keep_hints=bool(hints)), one, hints=hints)[0]

        found = output_gradients(
            model,
            values,
            parameters=chosen,
            projection=projection,
            chunk_size=chunk_size,
            limit=rows,
            seed=seed + graph,
        )
        with torch.no_grad():
            signs = margins(model(one, keep_hints=bool(hints)), one, hints=hints)[1]
        features.append(found.features)
        offsets.append(found.values)
        labels.append(signs[found.rows.to(signs.device)])
    kept = {"offsets": torch.cat(offsets)} if offset else {}
    return TaskFeatures(torch.cat(features), labels=torch.cat(labels), **kept)


def moved(model: Reasoner, changes: dict[str, Tensor], trajectories: Trajectories, *, hints: Hints = True) -> Tensor:
    """Margins of the network at θ + changes, shape (K,)."""
    named = {
        name: value.detach() + changes[name] if name in changes else value.detach()
        for name, value in model.named_parameters()
    }
    with torch.no_grad():
        prediction = torch.func.functional_call(model, named, (trajectories,), {"keep_hints": bool(hints)})
        return margins(prediction, trajectories, hints=hints)[0]


def first_order(
    model: Reasoner, changes: dict[str, Tensor], trajectories: Trajectories, *, hints: Hints = True
) -> Tensor:
    """What gradients at θ say of the margins at θ + changes: F(θ) + ⟨∇F(θ), changes⟩, shape (K,), in one forward pass.

    Parameters
    ----------
    model : Reasoner
        At θ.
    changes : dict of str to Tensor
        By name of parameter.
    trajectories : Trajectories
    hints : bool or "first"
        Also of the hints.
    """
    fixed = {name: value.detach() for name, value in model.named_parameters()}

    def values(chosen: dict[str, Tensor]) -> Tensor:
        prediction = torch.func.functional_call(model, fixed | chosen, (trajectories,), {"keep_hints": bool(hints)})
        return margins(prediction, trajectories, hints=hints)[0]

    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch warns of itself at its first forward derivative
        found = torch.func.jvp(values, ({name: fixed[name] for name in changes},), (changes,))
    result: Tensor = found[0] + found[1]
    return result


def names_of(model: Reasoner, tasks: Sequence[str], *, layer: int = 0) -> list[str]:
    """Names of the processor's weights that some of the tasks use from a layer on."""
    found: dict[str, None] = {}
    for name in tasks:
        found.update(dict.fromkeys(layer_parameters(model, name, layer=layer)))
    return list(found)
