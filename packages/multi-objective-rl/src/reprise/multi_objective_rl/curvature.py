"""Curvature of a policy's loss, and the shape of the generalization bound that it enters.

At θ*, L(θ) = -E[r(θ) Â] has the Hessian -E[Â (∇² log π + g gᵀ)], which may have a negative trace; the logistic
surrogate at Δ has E[w σ(z)(1 - σ(z)) g gᵀ] in its first-order model, which may not.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from reprise.hvp import Estimate, Hessian, trace
from reprise.multi_objective_rl.policy import Policy
from reprise.multi_objective_rl.sampling import Transitions
from reprise.multi_objective_rl.surrogate import policy_gradients
from reprise.multi_objective_rl.validation import one_of, real_number


def policy_hessian(policy: Policy, transitions: Transitions) -> Hessian:
    """The Hessian of -E[r Â] at the policy that took the transitions, as an operator of `reprise.hvp`.

    Parameters
    ----------
    policy : Policy
        At θ*; clipping is inactive there.
    transitions : Transitions
        Whose advantages count as they are.

    Returns
    -------
    reprise.hvp.Hessian
        Of the policy's parameters; `@`, `.dense()`, and what `reprise.hvp` estimates.
    """
    buffers = dict(policy.named_buffers())
    parameters = {name: value.detach() for name, value in policy.named_parameters()}
    observations, actions = transitions.observations, transitions.actions
    with torch.no_grad():
        before = policy.log_prob_of(policy(observations), actions)

    def loss(values: dict[str, Tensor]) -> Tensor:
        outputs = torch.func.functional_call(policy, {**values, **buffers}, (observations,))
        return -((policy.log_prob_of(outputs, actions) - before).exp() * transitions.advantages).mean()

    return Hessian.of(loss, parameters)


def hessian_trace(
    policy: Policy,
    transitions: Transitions,
    loss: str = "ppo",
    *,
    change: Tensor | None = None,
    products: int = 100,
    method: str = "hutchinson",
    generator: int = 0,
) -> Estimate:
    """Trace of the Hessian of a policy's loss.

    Parameters
    ----------
    policy : Policy
        At θ*, the policy that took the transitions.
    transitions : Transitions
        Of one task, or of several together; advantages count as they are.
    loss : {"ppo", "surrogate"}
        -E[r Â] at θ*, by `reprise.hvp`; or the logistic surrogate, exactly.
    change : Tensor, shape (p,), optional
        Δ at which the surrogate's trace is taken; 0 by default.
    products : int
        Hessian-vector products.
    method : str
        Of `reprise.hvp.trace`.
    generator : int
        Seed of the random vectors.

    Returns
    -------
    reprise.hvp.Estimate
        ``value`` and ``stderr``; 0 for the surrogate.

    Raises
    ------
    ValueError
        For another loss, or a `change` with ``loss="ppo"``.

    Examples
    --------
    >>> from reprise.multi_objective_rl import Critic, Sampler, cartpole
    >>> env = cartpole("plain").make()
    >>> policy = Policy(env.observation_space, env.action_space)
    >>> transitions, _ = Sampler([cartpole("plain")]).sample(policy, Critic(4), 16)
    >>> hessian_trace(policy, transitions, "surrogate").value > 0
    True
    """
    one_of("loss", loss, ("ppo", "surrogate"))
    if loss == "ppo":
        if change is not None:
            raise ValueError("change is for the surrogate; -E[r Â] is taken at the policy itself")
        options: Any = {"method": method}
        return trace(policy_hessian(policy, transitions), products=products, generator=generator, **options)
    gradients = policy_gradients(policy, transitions)
    scores = torch.zeros_like(gradients[:, 0]) if change is None else gradients @ change.to(gradients)
    likely = torch.sigmoid(scores)
    each = transitions.advantages.abs() * likely * (1 - likely) * gradients.square().sum(1)
    value = each.double().mean()
    return Estimate(float(value), 0.0, 0, torch.tensor([value]))


def generalization_bound(trace: float, radius: float, count: int, loss_bound: float) -> float:
    """√(C · Tr · r² / N): the term by which curvature enters a PAC-Bayes bound on the loss of unseen transitions.

    Parameters
    ----------
    trace : float
        Tr, the largest trace of the loss's Hessian; a negative one counts as 0.
    radius : float
        r, how far the parameters moved, ‖θ - θ*‖.
    count : int
        N, transitions.
    loss_bound : float
        C, the largest loss of a transition.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If the radius or the loss bound is negative, or there are no transitions.

    Notes
    -----
    The shape of the group's earlier bounds (Zhang, Li and Ju 2024), (1 + ε) L̂ + (1 + ε) √(C Tr r² / N) + O(N^(-3/4)),
    without the constants of the AAAI theorem.

    Examples
    --------
    >>> generalization_bound(trace=4.0, radius=0.5, count=100, loss_bound=1.0)
    0.1
    """
    curvature = max(0.0, real_number("trace", trace, minimum=-math.inf))
    distance = real_number("radius", radius)
    ceiling = real_number("loss_bound", loss_bound)
    return math.sqrt(ceiling * curvature * distance**2 / real_number("count", count, minimum=1))
