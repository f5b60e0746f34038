"""A found tree with the weights that its search left in it, instead of weights from scratch."""

from __future__ import annotations

from reprise.algorithmic_reasoning.autobrane import Search, Split
from reprise.algorithmic_reasoning.network import Reasoner


def inherit(model: Reasoner, found: Search) -> None:
    """Give every module the weights that it has in the search's network of its group.

    Parameters
    ----------
    model : Reasoner
        Of the found tree; changed in place.
    found : Search

    Raises
    ------
    ValueError
        If the model has another tree.

    Notes
    -----
    A module takes its layer from the last network, on the way from the root to its group, that was trained from that
    layer on or from an earlier one; later ones leave the layer as it was, if `train` does. Encoders and decoders of a
    task come from the last network that it was in. What belongs to no layer and no task, as the Edge Transformer's map
    to pairs, comes from the first network of all: a `train` that goes on with it in later groups loses that.
    """
    if model.structure != found.structure:
        raise ValueError("model must have the structure that the search found")
    if not found.splits:
        return
    state = model.state_dict()
    for name in state:
        kind, *path = name.split(".")
        if kind == "tasks":
            state[name] = _last(found, {path[0]}).state[name]
        elif path[0] == "layers":
            layer, module, *rest = path[1:]
            group = model.structure.layers[int(layer)][int(module)]
            split = _last(found, set(group), layer=int(layer))
            state[name] = split.state[".".join(["processor", "layers", layer, "0", *rest])]
        else:
            state[name] = found.splits[0].state[name]
    model.load_state_dict(state)


def _last(found: Search, tasks: set[str], layer: int | None = None) -> Split:
    """The last split of a group that holds all the tasks, at a layer or before; the first of all if there is none."""
    holding = [split for split in found.splits if tasks <= set(split.tasks) and (layer is None or split.layer <= layer)]
    return max(holding, key=lambda split: split.layer, default=found.splits[0])
