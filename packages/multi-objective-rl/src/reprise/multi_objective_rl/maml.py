"""Adapting a policy to new tasks by a few policy-gradient steps, and training policies that adapt well.

Every task has its own copy of the parameters; the copies act and are differentiated together. Finn, Abbeel and Levine
(2017), "Model-agnostic meta-learning for fast adaptation of deep networks".
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from reprise.hvp import Hessian
from reprise.multi_objective_rl.policy import Policy
from reprise.multi_objective_rl.ppo import Progress, Trained
from reprise.multi_objective_rl.sampling import Sampler, Transitions
from reprise.multi_objective_rl.stacking import PolicyStack
from reprise.multi_objective_rl.tasks import Task, check_tasks
from reprise.multi_objective_rl.validation import numpy_generator, real_number, whole_number

Values = dict[str, Tensor]


def maml_adapt(
    policy: Trained,
    task: Task | Sequence[Task],
    steps: int = 200,
    *,
    step_size: float = 0.1,
    transitions: int = 256,
    copies: int = 8,
    generator: np.random.Generator | int = 0,
    progress: Progress | None = None,
) -> list[Policy]:
    """Policies after some gradient steps on new tasks, each on its own.

    Parameters
    ----------
    policy : Trained
        Where every task starts; its critic gives the advantages and stays as it is.
    task : Task or sequence of Task
        Adapted to side by side: actions and gradients of all are computed together.
    steps : int
        Gradient steps; each on fresh transitions.
    step_size : float
        Of plain gradient ascent on E[log π Â], with advantages standardised in each task.
    transitions, copies : int
        Of each task for one step, and environments that they come from.
    generator : numpy.random.Generator or int
    progress : callable, optional
        ``progress(steps done, steps)``.

    Returns
    -------
    list of Policy
        One for each task.

    Examples
    --------
    >>> from reprise.multi_objective_rl import PPOConfig, cartpole, train
    >>> meta = train([cartpole("plain")], steps=512, config=PPOConfig(transitions=512))
    >>> adapted = maml_adapt(meta, [cartpole("heavy", gravity=15)], steps=2, transitions=64)
    >>> len(adapted)
    1
    """
    if not isinstance(policy, Trained):
        raise TypeError(f"policy must be what train returns, got {type(policy).__name__}")
    tasks = [task] if isinstance(task, Task) else list(task)
    check_tasks(tasks)
    steps = whole_number("steps", steps, minimum=0)
    rate = real_number("step_size", step_size, above=True)
    each = _steps(transitions, copies)
    stacked = PolicyStack([policy.policy] * len(tasks))
    sampler = Sampler(tasks, copies=copies, generator=generator)
    config = policy.config
    for step in range(steps):
        batch, _ = sampler.sample(stacked, policy.critic, each, discount=config.discount, decay=config.decay)
        stacked.ascend(batch, rate)
        if progress is not None:
            progress(step + 1, steps)
    sampler.close()
    return stacked.policies()


def maml_train(
    start: Trained,
    tasks: Sequence[Task] | None = None,
    *,
    iterations: int = 10,
    order: int = 1,
    inner_step_size: float = 0.1,
    step_size: float = 1e-3,
    transitions: int = 2048,
    copies: int = 8,
    generator: np.random.Generator | int = 0,
    progress: Progress | None = None,
) -> Trained:
    """Train a policy whose adapted copies are good: θ that maximises the mean over tasks of J_i(θ + α ∇J_i(θ)).

    Parameters
    ----------
    start : Trained
        Left as it is.
    tasks : sequence of Task, optional
        Those it was trained on by default.
    iterations : int
        Outer steps.
    order : {1, 2}
        Without the second derivatives of the inner step, or with: the outer gradient of a task is then
        ``(I + α∇²J_i(θ)) ∇J_i(θ')``, a Hessian-vector product of `reprise.hvp`.
    inner_step_size, step_size : float
        α, and that of Adam.
    transitions, copies : int
        Of each task, before and after its inner step.
    generator : numpy.random.Generator or int
    progress : callable, optional

    Returns
    -------
    Trained
        With the critic fitted on the way.
    """
    if order not in (1, 2):
        raise ValueError(f"order must be 1 or 2, got {order!r}")
    chosen = list(start.tasks if tasks is None else tasks)
    check_tasks(chosen)
    rate = real_number("inner_step_size", inner_step_size, above=True)
    generator = numpy_generator(generator)
    policy, critic = start.policy.copy(), copy.deepcopy(start.critic)
    outer = torch.optim.Adam(policy.parameters(), lr=real_number("step_size", step_size, above=True), eps=1e-5)
    values = torch.optim.Adam(critic.parameters(), lr=start.config.step_size, eps=1e-5)
    sampler = Sampler(chosen, copies=copies, generator=generator)
    each, config = _steps(transitions, copies), start.config
    history = []
    for iteration in range(whole_number("iterations", iterations)):
        stack = PolicyStack([policy] * len(chosen))
        before, _ = sampler.sample(stack, critic, each, discount=config.discount, decay=config.decay)
        stack.ascend(before, rate)
        after, episodes = sampler.sample(stack, critic, each, discount=config.discount, decay=config.decay)
        gradients = stack.gradients(after)
        if order == 2:
            gradients = _through_inner_step(policy, before.standardised(), gradients, rate)
        for name, parameter in policy.named_parameters():
            parameter.grad = -gradients[name].mean(0)
        nn.utils.clip_grad_norm_(policy.parameters(), config.gradient_norm)
        outer.step()
        for _ in range(config.epochs):
            values.zero_grad()
            (critic(before.observations) - before.returns).square().mean().backward()
            nn.utils.clip_grad_norm_(critic.parameters(), config.gradient_norm)
            values.step()
        mean = float(np.mean([episode.total for episode in episodes])) if episodes else float("nan")
        history.append({"steps": (iteration + 1) * 2 * each * copies * len(chosen), "return": mean})
        if progress is not None:
            progress(iteration + 1, iterations)
    sampler.close()
    return Trained(policy, critic, tuple(chosen), history, config)


def _steps(transitions: int, copies: int) -> int:
    if whole_number("transitions", transitions) % whole_number("copies", copies):
        raise ValueError(f"transitions must be a multiple of copies, {copies}, got {transitions}")
    return transitions // copies


def _gain(policy: Policy, values: Values, transitions: Transitions) -> Tensor:
    """E[log π Â], whose gradient is the policy gradient."""
    buffers = dict(policy.named_buffers())
    outputs = torch.func.functional_call(policy, {**values, **buffers}, (transitions.observations,))
    return (policy.log_prob_of(outputs, transitions.actions) * transitions.advantages).mean()


def _through_inner_step(policy: Policy, before: Transitions, gradients: Values, rate: float) -> Values:
    """(I + α∇²J_i(θ)) applied to the gradient after the inner step, for each task."""
    start = {name: value.detach() for name, value in policy.named_parameters()}
    found: dict[str, list[Tensor]] = {name: [] for name in start}
    for index, name in enumerate(before.names):
        part = before.of(name)
        curvature = Hessian.of(
            lambda values, part=part: _gain(policy, values, part), start, strategy="reverse-over-reverse", check=False
        )
        vector = {key: value[index] for key, value in gradients.items()}
        product = curvature @ vector
        for key, value in vector.items():
            found[key].append(value + rate * product[key])
    return {key: torch.stack(rows) for key, rows in found.items()}
