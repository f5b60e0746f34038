"""Proximal policy optimisation of one policy on any number of tasks: the learner that everything here uses.

Every iteration takes the same number of transitions of each task and mixes them in the minibatches of some epochs of

    E[min(r Â, clip(r, 1 ± ε) Â)] - c E[(V - R)²] + h E[entropy],    r = π(a | s) / π_old(a | s).

Schulman et al. (2017), "Proximal policy optimization algorithms". Policy and critic are separate networks, whose
gradients are clipped separately; advantages are standardised over each minibatch, in which all tasks are mixed.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from reprise.multi_objective_rl.policy import Critic, Policy
from reprise.multi_objective_rl.sampling import Episode, Sampler, Transitions
from reprise.multi_objective_rl.tasks import Task, check_tasks
from reprise.multi_objective_rl.validation import numpy_generator, real_number, torch_generator, whole_number

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class PPOConfig:
    """Constants of the learner.

    Parameters
    ----------
    transitions : int
        Of each task in each iteration; a multiple of `copies`.
    copies : int
        Environments of each task.
    epochs, batch_size : int
        Passes over an iteration's transitions, and transitions in a minibatch.
    step_size : float
        Of Adam.
    discount, decay : float
        γ, and λ of the advantages.
    clip : float
        ε of the ratio.
    entropy, value_weight : float
        h and c.
    gradient_norm : float
        To which the gradients of policy and critic are clipped, each.
    hidden : tuple of int
        Widths of new policies and critics.
    normalise : bool
        Let a new policy learn mean and spread of its observations; one that is given keeps what it has.
    """

    transitions: int = 2048
    copies: int = 8
    epochs: int = 4
    batch_size: int = 2048
    step_size: float = 3e-4
    discount: float = 0.99
    decay: float = 0.95
    clip: float = 0.2
    entropy: float = 0.005
    value_weight: float = 0.5
    gradient_norm: float = 0.5
    hidden: tuple[int, ...] = (64, 64)
    normalise: bool = False

    def __post_init__(self) -> None:
        """Refuse constants out of range."""
        for name in ("transitions", "copies", "epochs", "batch_size"):
            whole_number(name, getattr(self, name))
        for name in ("step_size", "clip", "gradient_norm"):
            real_number(name, getattr(self, name), above=True)
        for name in ("discount", "decay"):
            real_number(name, getattr(self, name), maximum=1.0)
        for name in ("entropy", "value_weight"):
            real_number(name, getattr(self, name))
        if self.transitions % self.copies:
            raise ValueError(f"transitions must be a multiple of copies, {self.copies}, got {self.transitions}")


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained policy.

    Attributes
    ----------
    policy : Policy
    critic : Critic
    tasks : tuple of Task
        What it was trained on.
    history : list of dict
        One per iteration: ``steps`` (transitions so far, over all tasks), ``returns`` (task name to the mean return of
        the episodes that ended; NaN where none did), ``entropy``, ``divergence`` (mean log-ratio of old to new).
    config : PPOConfig
    """

    policy: Policy
    critic: Critic
    tasks: tuple[Task, ...]
    history: list[dict[str, Any]] = field(default_factory=list)
    config: PPOConfig = field(default_factory=PPOConfig)


def train(
    tasks: Sequence[Task],
    *,
    steps: int,
    policy: Policy | Trained | None = None,
    config: PPOConfig | None = None,
    generator: np.random.Generator | int = 0,
    device: str | torch.device | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Train one policy on all tasks, with equally many transitions of each.

    Parameters
    ----------
    tasks : sequence of Task
        With one observation space and one action space.
    steps : int
        Transitions over all tasks; rounded up to whole iterations of ``config.transitions`` per task.
    policy : Policy or Trained, optional
        Where to start; copied. From a `Trained` the critic goes on as well. A new policy by default, which doesn't see
        which task it is in.
    config : PPOConfig, optional
        That of the `Trained` it starts from, or the default.
    generator : numpy.random.Generator or int
        Of weights, environments, actions and minibatches.
    device : str or torch.device, optional
        Of the networks: where the policy is that it starts from, or the CPU. Environments run on the CPU.
    progress : callable, optional
        ``progress(iterations done, iterations)``.

    Returns
    -------
    Trained

    Raises
    ------
    ValueError
        If tasks don't fit together or with the policy, or a reward is not finite.
    RuntimeError
        If training diverges.

    Examples
    --------
    >>> from reprise.multi_objective_rl import cartpole
    >>> tasks = [cartpole("light", gravity=5), cartpole("heavy", gravity=15)]
    >>> trained = train(tasks, steps=1024, config=PPOConfig(transitions=256))
    >>> [row["steps"] for row in trained.history]
    [512, 1024]
    """
    spaces = check_tasks(tasks)
    generator = numpy_generator(generator)
    start = policy if isinstance(policy, Trained) else None
    config = config or (start.config if start else PPOConfig())
    steps = whole_number("steps", steps)
    if policy is not None and not isinstance(policy, (Policy, Trained)):
        raise TypeError(f"policy must be a Policy or a Trained, got {type(policy).__name__}")
    given = start.policy if start else policy
    actor = given.copy() if isinstance(given, Policy) else _new_policy(spaces, config, generator)
    for kind in ("observation_space", "action_space"):
        if getattr(actor, kind) != getattr(spaces, kind):
            raise ValueError(
                f"policy must have the tasks' {kind.replace('_', ' ')}, {getattr(spaces, kind)}, "
                f"got {getattr(actor, kind)}"
            )
    actor.to(actor.shift.device if device is None else device)
    critic = copy.deepcopy(start.critic) if start else _new_critic(actor, config, generator)
    critic.to(actor.shift.device)
    moments = _Moments(actor.observation_size) if config.normalise and policy is None else None
    weights = [*actor.parameters(), *critic.parameters()]
    optimizer = torch.optim.Adam(weights, lr=config.step_size, eps=1e-5, fused=True)
    sampler = Sampler(tasks, copies=config.copies, generator=generator)
    draws = torch_generator(generator)
    iterations = math.ceil(steps / (len(tasks) * config.transitions))
    history = []
    for iteration in range(iterations):
        transitions, episodes = sampler.sample(
            actor, critic, config.transitions // config.copies, discount=config.discount, decay=config.decay
        )
        facts = _update(actor, critic, optimizer, transitions, config, draws)
        if not all(math.isfinite(value) for value in facts.values()):
            raise RuntimeError(f"training diverged in iteration {iteration + 1}: lower step_size, {config.step_size}")
        if moments is not None:
            moments.add(transitions.observations[:, : actor.observation_size])
            for network in (actor, critic):
                network.shift.copy_(moments.mean)
                network.spread.copy_(moments.deviation)
        done = (iteration + 1) * len(tasks) * config.transitions
        history.append({"steps": done, "returns": _means(episodes, sampler.names), **facts})
        if progress is not None:
            progress(iteration + 1, iterations)
    sampler.close()
    return Trained(actor, critic, tuple(tasks), history, config)


def _new_policy(spaces: Any, config: PPOConfig, generator: np.random.Generator) -> Policy:
    return Policy(spaces.observation_space, spaces.action_space, config.hidden, generator=generator)


def _new_critic(policy: Policy, config: PPOConfig, generator: np.random.Generator) -> Critic:
    critic = Critic(policy.inputs_size, config.hidden, observation_size=policy.observation_size, generator=generator)
    critic.shift.copy_(policy.shift)
    critic.spread.copy_(policy.spread)
    return critic


def _update(
    policy: Policy,
    critic: nn.Module,
    optimizer: torch.optim.Optimizer,
    transitions: Transitions,
    config: PPOConfig,
    draws: torch.Generator,
) -> dict[str, float]:
    count = len(transitions)
    policy_parameters, critic_parameters = list(policy.parameters()), list(critic.parameters())
    entropies, divergences = [], []
    for _ in range(config.epochs):
        order = torch.randperm(count, generator=draws).to(transitions.tasks.device)
        for rows in torch.split(order, config.batch_size):
            batch = transitions.select(rows)
            outputs = policy(batch.observations)
            log_ratio = policy.log_prob_of(outputs, batch.actions) - batch.log_probs
            entropy = policy.entropy_of(outputs).mean()
            error = (critic(batch.observations) - batch.returns).square().mean()
            gain = clipped_gain(log_ratio, standardised(batch.advantages), config.clip)
            optimizer.zero_grad(set_to_none=True)
            (config.value_weight * error - gain - config.entropy * entropy).backward()
            nn.utils.clip_grad_norm_(policy_parameters, config.gradient_norm)
            nn.utils.clip_grad_norm_(critic_parameters, config.gradient_norm)
            optimizer.step()
            entropies.append(entropy.detach())
            divergences.append(-log_ratio.detach().mean())
    return {"entropy": float(torch.stack(entropies).mean()), "divergence": float(torch.stack(divergences).mean())}


def clipped_gain(log_ratio: Tensor, advantages: Tensor, clip: float) -> Tensor:
    """The clipped objective E[min(r Â, clip(r, 1 ± ε) Â)].

    Parameters
    ----------
    log_ratio, advantages : Tensor, shape (N,)
        Log r and Â.
    clip : float
        ε.

    Returns
    -------
    Tensor, shape ()

    Examples
    --------
    >>> clipped_gain(torch.tensor([1.0, -1.0]), torch.tensor([1.0, 1.0]), 0.2)
    tensor(0.7839)
    """
    ratio = log_ratio.exp()
    return torch.minimum(ratio * advantages, ratio.clamp(1 - clip, 1 + clip) * advantages).mean()


def standardised(advantages: Tensor) -> Tensor:
    """Advantages of mean 0 and standard deviation 1; a single one is left as it is."""
    if len(advantages) < 2:
        return advantages
    return (advantages - advantages.mean()) / (advantages.std() + 1e-8)


def _means(episodes: Sequence[Episode], names: Sequence[str]) -> dict[str, float]:
    totals: dict[str, list[float]] = {name: [] for name in names}
    for episode in episodes:
        totals[names[episode.task]].append(episode.total)
    return {name: float(np.mean(values)) if values else float("nan") for name, values in totals.items()}


class _Moments:
    """Running mean and variance of observations (Chan et al. 1983)."""

    def __init__(self, size: int) -> None:
        self.count, self.mean, self.sum = 0, torch.zeros(size), torch.zeros(size)

    def add(self, observations: Tensor) -> None:
        values = observations.cpu()
        count, mean = len(values), values.mean(0)
        total = self.count + count
        gap = mean - self.mean
        self.sum = self.sum + (values - mean).square().sum(0) + gap.square() * self.count * count / total
        self.mean, self.count = self.mean + gap * count / total, total

    @property
    def deviation(self) -> Tensor:
        """Standard deviations, at least 1e-4: an entry that never changes stays harmless."""
        return (self.sum / max(1, self.count)).sqrt().clamp_min(1e-4)
