"""Policies and critics: small networks over flat observations, with what PPO and gradient estimation need of them.

A policy's network gives the parameters of a distribution over actions: logits for discrete ones; means and logarithms
of standard deviations for continuous ones, which do not depend on the state and are parameters like all others. Actions
are not squashed.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from gymnasium import spaces
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution, Independent, Normal

from reprise.multi_objective_rl.validation import float_tensor, numpy_generator, torch_generator, whole_number

skip_init: Any = nn.utils.skip_init  # untyped in torch
_LOG_2PI = math.log(2 * math.pi)


class Policy(nn.Module):
    """A stochastic policy.

    Parameters
    ----------
    observation_space : gymnasium.spaces.Box
    action_space : gymnasium.spaces.Discrete or Box
    hidden : sequence of int
        Widths of the hidden layers (tanh).
    tasks : sequence of str, optional
        Names of the tasks, if the policy is told which one it is in: observations then carry a one-hot vector of that
        length at their end. By default tasks are not observed.
    network : nn.Module, optional
        In place of the layers: from (..., observation size + number of tasks) to (..., `outputs_size`).
    generator : numpy.random.Generator or int
        Of the orthogonal initial weights (gain √2, the last layer 0.01).

    Attributes
    ----------
    shift, spread : Tensor, shape (observation size,)
        Buffers: observations enter as ``(o - shift) / spread``. Frozen unless `train` is asked to set them.

    Raises
    ------
    TypeError, ValueError
        If a space is of another kind.

    Examples
    --------
    >>> policy = Policy(spaces.Box(-1, 1, (4,)), spaces.Discrete(2))
    >>> policy.log_prob(np.zeros((3, 4)), [0, 1, 1]).shape
    torch.Size([3])
    """

    shift: Tensor
    spread: Tensor

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        hidden: Sequence[int] = (64, 64),
        tasks: Sequence[str] | None = None,
        *,
        network: nn.Module | None = None,
        generator: np.random.Generator | int = 0,
    ) -> None:
        super().__init__()
        if not isinstance(observation_space, spaces.Box):
            raise TypeError(f"observation_space must be a gymnasium Box, got {observation_space!r}")
        self.observation_space, self.action_space = observation_space, action_space
        self.tasks = None if tasks is None else tuple(tasks)
        self.observation_size = int(np.prod(observation_space.shape))
        self.inputs_size = self.observation_size + (0 if self.tasks is None else len(self.tasks))
        if isinstance(action_space, spaces.Discrete):
            self.discrete, self.outputs_size = True, int(action_space.n)
        elif isinstance(action_space, spaces.Box):
            self.discrete, self.outputs_size = False, int(np.prod(action_space.shape))
            self.log_std = nn.Parameter(torch.zeros(self.outputs_size))
        else:
            raise TypeError(f"action_space must be Discrete or Box, got {action_space!r}")
        self.network = network or layers((self.inputs_size, *hidden, self.outputs_size), 0.01, generator)
        self.register_buffer("shift", torch.zeros(self.observation_size))
        self.register_buffer("spread", torch.ones(self.observation_size))

    def forward(self, observations: Tensor) -> Tensor:
        """Parameters of the distribution, (..., A) or (..., 2a): logits, or means and logarithms of deviations."""
        outputs: Tensor = self.network(normalised(observations, self.shift, self.spread))
        if self.discrete:
            return outputs
        return torch.cat((outputs, self.log_std.expand_as(outputs)), dim=-1)

    def distribution(self, observations: Any) -> Distribution:
        """The distribution of actions at observations of shape (..., observation size)."""
        outputs = self(self.inputs(observations))
        if self.discrete:
            return Categorical(logits=outputs)
        mean, log_std = outputs.chunk(2, dim=-1)
        return Independent(Normal(mean, log_std.exp()), 1)

    def log_prob(self, observations: Any, actions: Any) -> Tensor:
        """Log π(a | s), shape (...); of unclipped continuous actions, summed over their dimensions."""
        actions = actions if isinstance(actions, Tensor) else torch.from_numpy(np.array(actions))
        return self.log_prob_of(self(self.inputs(observations)), actions)

    def act(
        self, observations: Any, *, deterministic: bool = False, generator: np.random.Generator | int | None = None
    ) -> npt.NDArray[Any]:
        """Actions for an environment, shape (...) or (..., a): drawn, or the most probable; clipped to the space."""
        with torch.no_grad():
            outputs = self(self.inputs(observations))
            if deterministic:
                return self.for_environment(self.mode_of(outputs))
            generator = numpy_generator(np.random.default_rng() if generator is None else generator)
            return self.for_environment(self.sample_of(outputs, torch_generator(generator, outputs.device)))

    def inputs(self, observations: Any) -> Tensor:
        """Observations as a tensor of shape (..., inputs size), checked."""
        tensor = float_tensor("observations", observations, self.shift)
        shape = self.observation_space.shape
        if len(shape) != 1 and tuple(tensor.shape[-len(shape) :]) == shape:
            tensor = tensor.flatten(-len(shape))
        if tensor.ndim == 0 or tensor.shape[-1] != self.inputs_size:
            raise ValueError(f"observations must have shape (..., {self.inputs_size}), got {tuple(tensor.shape)}")
        return tensor

    def log_prob_of(self, outputs: Tensor, actions: Tensor) -> Tensor:
        """Log-probability of actions under `forward`'s outputs."""
        if self.discrete:
            return outputs.log_softmax(-1).gather(-1, actions.to(outputs.device).long().unsqueeze(-1)).squeeze(-1)
        mean, log_std = outputs.chunk(2, dim=-1)
        standard = (actions.to(outputs) - mean) * (-log_std).exp()
        return (-0.5 * standard**2 - log_std - 0.5 * _LOG_2PI).sum(-1)

    def entropy_of(self, outputs: Tensor) -> Tensor:
        """Entropy of the distributions that `forward`'s outputs stand for."""
        if self.discrete:
            logs = outputs.log_softmax(-1)
            return -(logs.exp() * logs).sum(-1)
        return (outputs.chunk(2, dim=-1)[1] + 0.5 * (1 + _LOG_2PI)).sum(-1)

    def sample_of(self, outputs: Tensor, generator: torch.Generator) -> Tensor:
        """Unclipped actions drawn from `forward`'s outputs."""
        if self.discrete:  # the largest of logits with Gumbel noise
            noise = torch.empty_like(outputs).exponential_(generator=generator)
            return (outputs - noise.log_()).argmax(-1)
        mean, log_std = outputs.chunk(2, dim=-1)
        return mean + log_std.exp() * torch.empty_like(mean).normal_(generator=generator)

    def mode_of(self, outputs: Tensor) -> Tensor:
        """The most probable actions."""
        return outputs.argmax(-1) if self.discrete else outputs.chunk(2, dim=-1)[0]

    def for_environment(self, actions: Tensor) -> npt.NDArray[Any]:
        """Actions as an environment takes them: clipped to a Box, counted from a Discrete space's start."""
        values = actions.cpu().numpy()
        if isinstance(self.action_space, spaces.Discrete):
            counted: npt.NDArray[Any] = values + int(self.action_space.start)
            return counted
        assert isinstance(self.action_space, spaces.Box)
        low, high = self.action_space.low.reshape(-1), self.action_space.high.reshape(-1)
        clipped = np.clip(values, low, high).astype(self.action_space.dtype)
        shaped: npt.NDArray[Any] = clipped.reshape(*values.shape[:-1], *self.action_space.shape)
        return shaped

    def context(self, names: Sequence[str]) -> npt.NDArray[np.float32] | None:
        """One-hot rows of the tasks, to be appended to observations; None where tasks are not observed.

        Raises
        ------
        ValueError
            If the policy does not know one of them.
        """
        if self.tasks is None:
            return None
        unknown = [name for name in names if name not in self.tasks]
        if unknown:
            raise ValueError(f"tasks must be those of the policy, {list(self.tasks)}, got {unknown}")
        return np.eye(len(self.tasks), dtype=np.float32)[[self.tasks.index(name) for name in names]]

    def copy(self) -> Self:
        """A copy that shares nothing."""
        return copy.deepcopy(self)


class Critic(nn.Module):
    """A value function V(s) over flat observations, shape (..., size) to (...).

    Parameters
    ----------
    inputs_size, observation_size : int
        Length of what it sees, and how much of that is the observation (the rest tells the task).
    hidden : sequence of int
    generator : numpy.random.Generator or int
    """

    shift: Tensor
    spread: Tensor

    def __init__(
        self,
        inputs_size: int,
        hidden: Sequence[int] = (64, 64),
        *,
        observation_size: int | None = None,
        generator: np.random.Generator | int = 0,
    ) -> None:
        super().__init__()
        self.network = layers((inputs_size, *hidden, 1), 1.0, generator)
        size = inputs_size if observation_size is None else observation_size
        self.register_buffer("shift", torch.zeros(size))
        self.register_buffer("spread", torch.ones(size))

    def forward(self, observations: Tensor) -> Tensor:
        """Values, shape (...)."""
        values: Tensor = self.network(normalised(observations, self.shift, self.spread)).squeeze(-1)
        return values


def layers(sizes: Sequence[int], last_gain: float, generator: np.random.Generator | int) -> nn.Sequential:
    """Linear layers with tanh between them, orthogonal weights (gain √2, last: `last_gain`) and no bias at first."""
    draws = torch_generator(numpy_generator(generator))
    found: list[nn.Module] = []
    for index, (inputs, outputs) in enumerate(pairwise(sizes)):
        last = index == len(sizes) - 2
        whole_number("hidden", outputs)
        linear: nn.Linear = skip_init(nn.Linear, inputs, outputs)
        nn.init.orthogonal_(linear.weight, gain=last_gain if last else 2**0.5, generator=draws)
        nn.init.zeros_(linear.bias)
        found += [linear] if last else [linear, nn.Tanh()]
    return nn.Sequential(*found)


def normalised(inputs: Tensor, shift: Tensor, spread: Tensor) -> Tensor:
    """Inputs whose observations are shifted and scaled; what tells the task stays as it is."""
    size = len(shift)
    if inputs.shape[-1] == size:
        return (inputs - shift) / spread
    return torch.cat(((inputs[..., :size] - shift) / spread, inputs[..., size:]), dim=-1)
