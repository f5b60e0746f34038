"""PolicyGradEx: which objectives should share a policy, from gradients alone (Zhang, Duan, Ye and Zhang, AAAI 2026).

``meta = train(tasks, steps=200_000)``, ``groups = PolicyGradEx().fit(meta, tasks).partition(k=3)``,
``team = GroupedPolicies.train(groups, meta)``. Every name is loaded when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reprise.multi_objective_rl.atlas import PreferenceAtlas
    from reprise.multi_objective_rl.baselines import (
        fine_tuned_outcomes,
        given_groups,
        gradient_similarity_groups,
        normalised_mutual_information,
        random_groups,
    )
    from reprise.multi_objective_rl.cart_poles import cartpole, cartpole_families, cartpole_tasks
    from reprise.multi_objective_rl.contextual import paco, soft_modularization
    from reprise.multi_objective_rl.curvature import generalization_bound, hessian_trace, policy_hessian
    from reprise.multi_objective_rl.environments import highway_tasks, lunar_lander_tasks, metaworld_mt10
    from reprise.multi_objective_rl.estimation import PolicyGradEx
    from reprise.multi_objective_rl.evaluation import Evaluation, evaluate
    from reprise.multi_objective_rl.grouped import GroupedPolicies
    from reprise.multi_objective_rl.maml import maml_adapt, maml_train
    from reprise.multi_objective_rl.policy import Critic, Policy
    from reprise.multi_objective_rl.ppo import PPOConfig, Trained, train
    from reprise.multi_objective_rl.routing import TrajectoryClassifier
    from reprise.multi_objective_rl.sampling import Sampler, Transitions, generalised_advantages
    from reprise.multi_objective_rl.stability import stability_report
    from reprise.multi_objective_rl.stacking import PolicyStack
    from reprise.multi_objective_rl.surrogate import (
        cosine_affinity,
        linearisation_error,
        policy_gradients,
        surrogate_features,
    )
    from reprise.multi_objective_rl.tasks import Task, tasks_from_env, vector_env
    from reprise.multi_objective_rl.vector_rewards import expected_utility, hypervolume, preferences, simplex_weights

_HOMES = {
    "atlas": ["PreferenceAtlas"],
    "baselines": [
        "fine_tuned_outcomes",
        "given_groups",
        "gradient_similarity_groups",
        "normalised_mutual_information",
        "random_groups",
    ],
    "cart_poles": ["cartpole", "cartpole_families", "cartpole_tasks"],
    "contextual": ["paco", "soft_modularization"],
    "curvature": ["generalization_bound", "hessian_trace", "policy_hessian"],
    "environments": ["highway_tasks", "lunar_lander_tasks", "metaworld_mt10"],
    "estimation": ["PolicyGradEx"],
    "evaluation": ["Evaluation", "evaluate"],
    "grouped": ["GroupedPolicies"],
    "maml": ["maml_adapt", "maml_train"],
    "policy": ["Critic", "Policy"],
    "ppo": ["PPOConfig", "Trained", "train"],
    "vector_rewards": ["expected_utility", "hypervolume", "preferences", "simplex_weights"],
    "routing": ["TrajectoryClassifier"],
    "sampling": ["Sampler", "Transitions", "generalised_advantages"],
    "stability": ["stability_report"],
    "stacking": ["PolicyStack"],
    "surrogate": ["cosine_affinity", "linearisation_error", "policy_gradients", "surrogate_features"],
    "tasks": ["Task", "tasks_from_env", "vector_env"],
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Critic",
    "Evaluation",
    "GroupedPolicies",
    "PPOConfig",
    "Policy",
    "PolicyGradEx",
    "PolicyStack",
    "PreferenceAtlas",
    "Sampler",
    "Task",
    "Trained",
    "TrajectoryClassifier",
    "Transitions",
    "cartpole",
    "cartpole_families",
    "cartpole_tasks",
    "cosine_affinity",
    "evaluate",
    "expected_utility",
    "fine_tuned_outcomes",
    "generalised_advantages",
    "generalization_bound",
    "given_groups",
    "gradient_similarity_groups",
    "hessian_trace",
    "highway_tasks",
    "hypervolume",
    "linearisation_error",
    "lunar_lander_tasks",
    "maml_adapt",
    "maml_train",
    "metaworld_mt10",
    "normalised_mutual_information",
    "paco",
    "policy_gradients",
    "policy_hessian",
    "preferences",
    "random_groups",
    "simplex_weights",
    "soft_modularization",
    "stability_report",
    "surrogate_features",
    "tasks_from_env",
    "train",
    "vector_env",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
