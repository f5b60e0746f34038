"""The first-order surrogate: a policy's objective near θ* as weighted logistic regression on gradients of log π.

    log r_t(θ) = g_tᵀ(θ - θ*) + ε,   g_t = ∇ log π(a_t | s_t) at θ*,
    ℓ_t(Δ) = |Â_t| log(1 + exp(-sign(Â_t) g_tᵀΔ)).

Raising E[r Â] to first order is unbounded in Δ; minimising E[ℓ] asks of every action that its probability move to the
side of its advantage. Zhang, Duan, Ye and Zhang (2026), Algorithm 1.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from reprise.multi_objective_rl.policy import Policy
from reprise.multi_objective_rl.sampling import Transitions
from reprise.multi_objective_rl.validation import numpy_generator, one_of, real_array
from reprise.tasks import RandomProjection, TaskFeatures, parameter_count, sample_gradients

jvp: Any = torch.autograd.functional.jvp  # untyped in torch


def policy_gradients(
    policy: Policy,
    transitions: Transitions,
    *,
    projection: RandomProjection | None = None,
    chunk_size: int | None = None,
) -> Tensor:
    """Gradients of log π(a | s) with respect to all parameters of the policy, one row per transition.

    Parameters
    ----------
    policy : Policy
        At θ*, the policy that took the actions.
    transitions : Transitions
    projection : RandomProjection, optional
        P with as many rows as the policy has parameters; None keeps whole gradients.
    chunk_size : int, optional
        Transitions differentiated at a time.

    Returns
    -------
    Tensor, shape (N, d) or (N, p)
        Pᵀg, or g with the parameters in the policy's order, each in row-major order.

    Examples
    --------
    >>> from reprise.multi_objective_rl import Critic, Sampler, cartpole
    >>> sampler = Sampler([cartpole("plain")], copies=2)
    >>> env = cartpole("plain").make()
    >>> policy = Policy(env.observation_space, env.action_space)
    >>> transitions, _ = sampler.sample(policy, Critic(4), 8)
    >>> policy_gradients(policy, transitions).shape
    torch.Size([16, 4610])
    """
    return sample_gradients(
        policy,
        lambda policy, observation, action: policy.log_prob_of(policy(observation), action),
        (transitions.observations, transitions.actions),
        projection=projection,
        chunk_size=chunk_size,
    ).features


def surrogate_features(gradients: Tensor, advantages: Tensor) -> TaskFeatures:
    """Gradients with labels sign(Â) and weights |Â|; an advantage of 0 says nothing and is dropped.

    The mean of the losses stays one over all transitions: weights are scaled by the share that is left.

    Parameters
    ----------
    gradients : Tensor, shape (N, d)
    advantages : Tensor, shape (N,)
        Of one task, standardised.

    Returns
    -------
    TaskFeatures

    Raises
    ------
    ValueError
        If all advantages are 0.
    """
    kept = advantages != 0
    if not bool(kept.any()):
        raise ValueError(f"advantages must not all be 0, got {len(advantages)} zeros: do rewards ever differ?")
    chosen = advantages[kept]
    return TaskFeatures(gradients[kept], labels=chosen.sign(), weights=chosen.abs() * len(chosen) / len(advantages))


def mean_policy_gradients(features: Mapping[Hashable, TaskFeatures]) -> npt.NDArray[np.float64]:
    """Each task's policy gradient E[Â g], shape (n, d), in the order of the mapping."""
    rows = [
        (task.features.double() * (task.weights * task.labels).double()[:, None]).mean(0) for task in features.values()
    ]
    return torch.stack(rows).cpu().numpy()


def cosine_affinity(gradients: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Cosines between the rows: the affinity of "gradient similarity".

    Parameters
    ----------
    gradients : array, shape (n, d)
        A policy gradient for each task.

    Returns
    -------
    array, shape (n, n)

    Raises
    ------
    ValueError
        If a row is zero.

    Examples
    --------
    >>> cosine_affinity([[1.0, 0.0], [0.0, 2.0]])
    array([[1., 0.],
           [0., 1.]])
    """
    rows = real_array("gradients", gradients, dimensions=2)
    norms = np.linalg.norm(rows, axis=1)
    if not norms.all():
        raise ValueError(f"gradients must not be zero, got zero in row {int(norms.argmin())}")
    unit = rows / norms[:, None]
    cosines = unit @ unit.T
    return np.asarray((cosines + cosines.T) / 2)


def linearisation_error(
    policy: Policy,
    transitions: Transitions,
    distances: Sequence[float],
    *,
    direction: Tensor | None = None,
    generator: np.random.Generator | int = 0,
    measure: str = "squared",
) -> npt.NDArray[np.float64]:
    """How far log π is from its first-order model at some distance from θ*.

    Parameters
    ----------
    policy : Policy
        At θ*.
    transitions : Transitions
        Of any number of tasks.
    distances : sequence of float
        ‖Δ‖ / ‖θ*‖, such as 0.01.
    direction : Tensor, shape (p,), optional
        Of Δ; by default drawn uniformly from the sphere.
    generator : numpy.random.Generator or int
        Of that draw.
    measure : {"squared", "relative"}
        ``Σ(log π_θ - log π_θ* - gᵀΔ)² / Σ(log π_θ)²``, or the mean of ``|log r - gᵀΔ|`` over the mean of ``|log π_θ|``.

    Returns
    -------
    array, shape (distances,)
        Mean over tasks.

    Raises
    ------
    ValueError
        For another measure, distances that are not finite, or a direction that is zero or of another shape.

    Notes
    -----
    In float64, as errors at small distances are differences of nearly equal numbers; gᵀΔ is a Jacobian-vector product,
    so that no gradient is stored.
    """
    one_of("measure", measure, ("squared", "relative"))
    lengths = real_array("distances", list(distances), dimensions=1)
    parameters = {name: value.detach().double() for name, value in policy.named_parameters()}
    buffers = {name: value.double() for name, value in policy.named_buffers()}
    count = parameter_count(policy)
    if direction is None:
        direction = torch.from_numpy(numpy_generator(generator).standard_normal(count))
    if direction.shape != (count,) or not bool(direction.isfinite().all()) or not bool(direction.any()):
        raise ValueError(f"direction must be finite, not zero, of shape ({count},), got shape {tuple(direction.shape)}")
    unit = (direction / direction.norm()).to(next(iter(parameters.values())))
    size = torch.cat([value.flatten() for value in parameters.values()]).norm()
    observations, actions = transitions.observations.double(), transitions.actions

    def log_prob(*values: Tensor) -> Tensor:
        named = {**dict(zip(parameters, values)), **buffers}
        return policy.log_prob_of(torch.func.functional_call(policy, named, (observations,)), actions)

    errors = []
    for distance in lengths:
        change = tuple(_split(unit * size * distance, parameters).values())
        start = tuple(parameters.values())
        here, slope = jvp(log_prob, start, change)
        with torch.no_grad():
            there = log_prob(*(value + step for value, step in zip(start, change)))
        gap = there - here - slope
        shares = []
        for index in range(len(transitions.names)):
            rows = transitions.tasks == index
            if measure == "squared":
                shares.append(gap[rows].square().sum() / there[rows].square().sum())
            else:
                shares.append(gap[rows].abs().mean() / there[rows].abs().mean())
        errors.append(float(torch.stack(shares).mean()))
    return np.array(errors)


def moved(policy: Policy, change: Tensor) -> Policy:
    """A copy of the policy with a vector (p,) added to its parameters."""
    copy = policy.copy()
    with torch.no_grad():
        for parameter, part in zip(copy.parameters(), _split(change, dict(copy.named_parameters())).values()):
            parameter.add_(part)
    return copy


def _split(vector: Tensor, like: dict[str, Tensor]) -> dict[str, Tensor]:
    """A vector (p,) cut into the shapes of the parameters."""
    parts = torch.split(vector, [value.numel() for value in like.values()])
    return {name: part.reshape(value.shape).to(value) for part, (name, value) in zip(parts, like.items())}


def features_of(
    gradients: Tensor, transitions: Transitions, names: Sequence[Hashable] | None = None
) -> dict[Hashable, TaskFeatures]:
    """`surrogate_features` of each task, by name."""
    standardised = transitions.standardised()
    return {
        name: surrogate_features(gradients[rows], standardised.advantages[rows])
        for index, name in enumerate(transitions.names)
        for rows in [transitions.tasks == index]
        if names is None or name in names
    }
