"""Robust fine-tuning: how far may each layer move?

The Hessian distance measure and its bound, layer-wise constraints, the consistent loss for noisy labels, self-labelling
(Ju, Li and Zhang, ICML 2022; Li and Zhang, NeurIPS 2021), noise stability optimization (Zhang, Li and Ju, TMLR 2024):
``hessian_distance(model, pretrained, (x, y)).measure``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reprise.hvp.optim import NSO, SAM
    from reprise.robust_fine_tuning.certificate import Certificate
    from reprise.robust_fine_tuning.confusion import (
        empirical_confusion,
        estimate_confusion,
        flip_labels,
        replace_labels,
        symmetric_confusion,
    )
    from reprise.robust_fine_tuning.consistent_loss import ConsistentLoss, UnboundedLossWarning, noisy_label_bound
    from reprise.robust_fine_tuning.constraints import BatchNormBall, DistancePenalty, LayerConstraints
    from reprise.robust_fine_tuning.digits import DigitsTransfer, digits_transfer
    from reprise.robust_fine_tuning.distance import HessianDistance, hessian_distance
    from reprise.robust_fine_tuning.encoder import HiddenStates, TopLayers, hidden_states, load_minilm, tokenize
    from reprise.robust_fine_tuning.fine_tuning import History, fine_tune
    from reprise.robust_fine_tuning.flatness_bound import TraceBound, trace_bound
    from reprise.robust_fine_tuning.gap import GeneralizationGap, generalization_gap, perturbed_loss
    from reprise.robust_fine_tuning.layers import layer_distances, weight_layers
    from reprise.robust_fine_tuning.norm_bounds import pac_bayes_norm_bound
    from reprise.robust_fine_tuning.radii import ChosenRadii, choose_radii, largest_traces
    from reprise.robust_fine_tuning.radii_by_depth import growing_radii, layer_radii
    from reprise.robust_fine_tuning.self_labeling import Relabel, Reweight
    from reprise.robust_fine_tuning.text_data import TextSet, keyword_labels, read_text_set

_PACKAGE = "reprise.robust_fine_tuning"
_HOMES = {
    "reprise.hvp.optim": ["NSO", "SAM"],
    f"{_PACKAGE}.certificate": ["Certificate"],
    f"{_PACKAGE}.confusion": [
        "empirical_confusion",
        "estimate_confusion",
        "flip_labels",
        "replace_labels",
        "symmetric_confusion",
    ],
    f"{_PACKAGE}.consistent_loss": ["ConsistentLoss", "UnboundedLossWarning", "noisy_label_bound"],
    f"{_PACKAGE}.constraints": ["BatchNormBall", "DistancePenalty", "LayerConstraints"],
    f"{_PACKAGE}.digits": ["DigitsTransfer", "digits_transfer"],
    f"{_PACKAGE}.distance": ["HessianDistance", "hessian_distance"],
    f"{_PACKAGE}.encoder": ["HiddenStates", "TopLayers", "hidden_states", "load_minilm", "tokenize"],
    f"{_PACKAGE}.fine_tuning": ["History", "fine_tune"],
    f"{_PACKAGE}.gap": ["GeneralizationGap", "generalization_gap", "perturbed_loss"],
    f"{_PACKAGE}.radii_by_depth": ["growing_radii", "layer_radii"],
    f"{_PACKAGE}.layers": ["layer_distances", "weight_layers"],
    f"{_PACKAGE}.norm_bounds": ["pac_bayes_norm_bound"],
    f"{_PACKAGE}.radii": ["ChosenRadii", "choose_radii", "largest_traces"],
    f"{_PACKAGE}.self_labeling": ["Relabel", "Reweight"],
    f"{_PACKAGE}.text_data": ["TextSet", "keyword_labels", "read_text_set"],
    f"{_PACKAGE}.flatness_bound": ["TraceBound", "trace_bound"],
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "NSO",
    "SAM",
    "BatchNormBall",
    "Certificate",
    "ChosenRadii",
    "ConsistentLoss",
    "DigitsTransfer",
    "DistancePenalty",
    "GeneralizationGap",
    "HessianDistance",
    "HiddenStates",
    "History",
    "LayerConstraints",
    "Relabel",
    "Reweight",
    "TextSet",
    "TopLayers",
    "TraceBound",
    "UnboundedLossWarning",
    "choose_radii",
    "digits_transfer",
    "empirical_confusion",
    "estimate_confusion",
    "fine_tune",
    "flip_labels",
    "generalization_gap",
    "growing_radii",
    "hessian_distance",
    "hidden_states",
    "keyword_labels",
    "largest_traces",
    "layer_distances",
    "layer_radii",
    "load_minilm",
    "noisy_label_bound",
    "pac_bayes_norm_bound",
    "perturbed_loss",
    "read_text_set",
    "replace_labels",
    "symmetric_confusion",
    "tokenize",
    "trace_bound",
    "weight_layers",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
