"""Single policies that are told the task and share parameters softly: Soft Modularization and PaCo.

Yang, Xu, Wu and Wang (2020), "Multi-task reinforcement learning with soft modularization"; Sun, Zhang, Xu and Tomizuka
(2022), "PaCo: parameter-compositional multi-task reinforcement learning".
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from reprise.multi_objective_rl.policy import Policy, layers
from reprise.multi_objective_rl.tasks import Task, check_tasks
from reprise.multi_objective_rl.validation import numpy_generator, torch_generator, whole_number


def soft_modularization(
    tasks: Sequence[Task],
    *,
    depth: int = 4,
    modules: int = 4,
    width: int = 128,
    generator: np.random.Generator | int = 0,
) -> Policy:
    """A policy whose layers are modules, mixed by routing weights that depend on state and task.

    Parameters
    ----------
    tasks : sequence of Task
        Observed as a one-hot vector at the end of observations.
    depth, modules, width : int
        Layers L, modules in each M, and width of a module.
    generator : numpy.random.Generator or int

    Returns
    -------
    Policy
        For `train(tasks, policy=...)`.

    Examples
    --------
    >>> from reprise.multi_objective_rl import cartpole
    >>> policy = soft_modularization([cartpole("a"), cartpole("b")], width=16)
    >>> policy.distribution(np.zeros((3, 6))).logits.shape
    torch.Size([3, 2])
    """
    spaces = check_tasks(tasks)
    names = [task.name for task in tasks]
    probe = Policy(spaces.observation_space, spaces.action_space, (1,), names)
    network = SoftModules(
        probe.observation_size,
        len(names),
        probe.outputs_size,
        depth=depth,
        modules=modules,
        width=width,
        generator=generator,
    )
    return Policy(spaces.observation_space, spaces.action_space, (), names, network=network)


def paco(
    tasks: Sequence[Task],
    *,
    hidden: Sequence[int] = (64, 64),
    sets: int = 5,
    generator: np.random.Generator | int = 0,
) -> Policy:
    """A policy whose parameters are, for each task, a learned combination of shared sets: θ_i = Σ_j w_ij φ_j.

    Parameters
    ----------
    tasks : sequence of Task
        Observed as a one-hot vector at the end of observations.
    hidden : sequence of int
        Widths.
    sets : int
        K, parameter sets.
    generator : numpy.random.Generator or int

    Returns
    -------
    Policy

    Examples
    --------
    >>> from reprise.multi_objective_rl import cartpole
    >>> policy = paco([cartpole("a"), cartpole("b")])
    >>> policy.distribution(np.zeros((3, 6))).logits.shape
    torch.Size([3, 2])
    """
    spaces = check_tasks(tasks)
    names = [task.name for task in tasks]
    probe = Policy(spaces.observation_space, spaces.action_space, (1,), names)
    sizes = (probe.observation_size, *hidden, probe.outputs_size)
    network = ComposedLayers(sizes, len(names), sets=sets, generator=generator)
    return Policy(spaces.observation_space, spaces.action_space, (), names, network=network)


class SoftModules(nn.Module):
    """The network of Soft Modularization.

    Base features f(s) and task features h(z) give routing weights layer by layer, from their product with the weights
    before, as a softmax over the source modules j of every module i; a module's input is

        g_i^{l+1} = Σ_j p_ij^l relu(W_j^l g_j^l + b_j^l),

    and the output a linear map of the sum of the last modules' outputs.

    Parameters
    ----------
    observation_size, tasks, outputs : int
    depth, modules, width : int
    generator : numpy.random.Generator or int
    """

    def __init__(
        self,
        observation_size: int,
        tasks: int,
        outputs: int,
        *,
        depth: int = 4,
        modules: int = 4,
        width: int = 128,
        generator: np.random.Generator | int = 0,
    ) -> None:
        super().__init__()
        depth, modules = whole_number("depth", depth, minimum=2), whole_number("modules", modules)
        width = whole_number("width", width)
        generator = numpy_generator(generator)
        self.observation_size, self.count = observation_size, modules
        self.base = layers((observation_size, width, width), 2**0.5, generator)
        self.task = layers((tasks, width), 2**0.5, generator)
        pairs = modules * modules
        self.routes = nn.ModuleList(layers((width, pairs), 1.0, generator) for _ in range(depth - 1))
        self.raise_ = nn.ModuleList(layers((pairs, width), 2**0.5, generator) for _ in range(depth - 2))
        draws = torch_generator(generator)
        weights = torch.empty(depth, modules, width, width)
        for layer in range(depth):
            for module in range(modules):
                nn.init.orthogonal_(weights[layer, module], gain=2**0.5, generator=draws)
        self.weights, self.biases = nn.Parameter(weights), nn.Parameter(torch.zeros(depth, modules, width))
        self.head = layers((width, outputs), 0.01, generator)

    def forward(self, inputs: Tensor) -> Tensor:
        """From (..., observation size + tasks) to (..., outputs)."""
        state = self.base(inputs[..., : self.observation_size])
        mixed = state * self.task(inputs[..., self.observation_size :])
        routing = self.routes[0](mixed.relu())
        modules = state.relu().unsqueeze(-2).expand(*state.shape[:-1], self.count, state.shape[-1])
        for layer in range(len(self.routes)):
            if layer:
                routing = self.routes[layer]((self.raise_[layer - 1](routing) * mixed).relu())
            shares = routing.unflatten(-1, (self.count, self.count)).softmax(-1)
            modules = shares @ self._layer(layer, modules)
        result: Tensor = self.head(self._layer(len(self.routes), modules).sum(-2))
        return result

    def _layer(self, layer: int, modules: Tensor) -> Tensor:
        return (torch.einsum("...jw,jvw->...jv", modules, self.weights[layer]) + self.biases[layer]).relu()


class ComposedLayers(nn.Module):
    """The network of PaCo: tanh layers whose weights and biases are Σ_j w_ij φ_j for the task i of each row.

    Parameters
    ----------
    sizes : sequence of int
        Of inputs (without the task), hidden layers and outputs.
    tasks, sets : int
    generator : numpy.random.Generator or int
    """

    def __init__(
        self, sizes: Sequence[int], tasks: int, *, sets: int = 5, generator: np.random.Generator | int = 0
    ) -> None:
        super().__init__()
        sets = whole_number("sets", sets)
        generator = numpy_generator(generator)
        self.observation_size = sizes[0]
        copies = [layers(sizes, 0.01, generator) for _ in range(sets)]
        linear = [[layer for layer in copy if isinstance(layer, nn.Linear)] for copy in copies]
        self.weights = nn.ParameterList(
            torch.stack([each[i].weight.detach() for each in linear]) for i in range(len(linear[0]))
        )
        self.biases = nn.ParameterList(
            torch.stack([each[i].bias.detach() for each in linear]) for i in range(len(linear[0]))
        )
        noise = torch.randn(tasks, sets, generator=torch_generator(generator))
        self.mixture = nn.Parameter(1 / sets + 0.1 * noise)

    def forward(self, inputs: Tensor) -> Tensor:
        """From (..., inputs + tasks) to (..., outputs)."""
        shares = inputs[..., self.observation_size :] @ self.mixture
        values = inputs[..., : self.observation_size]
        for index, (weights, biases) in enumerate(zip(self.weights, self.biases)):
            each = torch.einsum("...i,koi->...ko", values, weights) + biases
            values = torch.einsum(
                "...k,...ko->...o", shares, each
            )  # linear in the parameters: mix outputs, not weights
            values = values.tanh() if index < len(self.weights) - 1 else values
        return values
