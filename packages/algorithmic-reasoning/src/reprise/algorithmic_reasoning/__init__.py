"""Twelve graph algorithms with every step of their way, and networks that learn to take these steps.

>>> trace("bfs", [[0, 1, 0], [1, 0, 1], [0, 1, 0]], source=0).outputs["pi"].tolist()
[[0, 0, 1]]
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reprise.algorithmic_reasoning.affinity import adapted_affinity, estimate_affinity
    from reprise.algorithmic_reasoning.autobrane import Search, Split, search
    from reprise.algorithmic_reasoning.branching_lora import BranchingLoRA
    from reprise.algorithmic_reasoning.confidence import BranchConfidence, branch_confidence
    from reprise.algorithmic_reasoning.incremental import IncrementalAffinity, newton_affinity
    from reprise.algorithmic_reasoning.inheritance import inherit
    from reprise.algorithmic_reasoning.learning_to_branch import LearningToBranch, learn_branches
    from reprise.algorithmic_reasoning.linearisation import gradient_features, layer_parameters, margins
    from reprise.algorithmic_reasoning.lookahead import lookahead_affinity
    from reprise.algorithmic_reasoning.losses import Prediction, loss, score
    from reprise.algorithmic_reasoning.mixture_of_experts import MixtureOfExperts
    from reprise.algorithmic_reasoning.network import Reasoner
    from reprise.algorithmic_reasoning.own_graph import trace
    from reprise.algorithmic_reasoning.probes import ALGORITHMS, SOURCED, Probe, spec
    from reprise.algorithmic_reasoning.sampling import official_split, sample
    from reprise.algorithmic_reasoning.structure import BranchingStructure
    from reprise.algorithmic_reasoning.text import Text, text_sample, to_text
    from reprise.algorithmic_reasoning.text_training import (
        answer_accuracy,
        answer_loss,
        fit_text,
        text_gradient_features,
    )
    from reprise.algorithmic_reasoning.training import History, evaluate, fit
    from reprise.algorithmic_reasoning.trajectories import Trajectories
    from reprise.algorithmic_reasoning.viewer import draw, frames

_HOMES = {
    "learning_to_branch": ["LearningToBranch", "learn_branches"],
    "lookahead": ["lookahead_affinity"],
    "mixture_of_experts": ["MixtureOfExperts"],
    "linearisation": ["gradient_features", "layer_parameters", "margins"],
    "losses": ["Prediction", "loss", "score"],
    "network": ["Reasoner"],
    "own_graph": ["trace"],
    "probes": ["ALGORITHMS", "SOURCED", "Probe", "spec"],
    "sampling": ["official_split", "sample"],
    "affinity": ["adapted_affinity", "estimate_affinity"],
    "autobrane": ["Search", "Split", "search"],
    "branching_lora": ["BranchingLoRA"],
    "confidence": ["BranchConfidence", "branch_confidence"],
    "inheritance": ["inherit"],
    "incremental": ["IncrementalAffinity", "newton_affinity"],
    "structure": ["BranchingStructure"],
    "text": ["Text", "text_sample", "to_text"],
    "text_training": ["answer_accuracy", "answer_loss", "fit_text", "text_gradient_features"],
    "training": ["History", "evaluate", "fit"],
    "trajectories": ["Trajectories"],
    "viewer": ["draw", "frames"],
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "ALGORITHMS",
    "SOURCED",
    "BranchConfidence",
    "BranchingLoRA",
    "BranchingStructure",
    "History",
    "IncrementalAffinity",
    "LearningToBranch",
    "MixtureOfExperts",
    "Prediction",
    "Probe",
    "Reasoner",
    "Search",
    "Split",
    "Text",
    "Trajectories",
    "adapted_affinity",
    "answer_accuracy",
    "answer_loss",
    "branch_confidence",
    "draw",
    "estimate_affinity",
    "evaluate",
    "fit",
    "fit_text",
    "frames",
    "gradient_features",
    "inherit",
    "layer_parameters",
    "learn_branches",
    "lookahead_affinity",
    "loss",
    "margins",
    "newton_affinity",
    "official_split",
    "sample",
    "score",
    "search",
    "spec",
    "text_gradient_features",
    "text_sample",
    "to_text",
    "trace",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
