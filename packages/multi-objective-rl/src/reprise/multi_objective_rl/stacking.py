"""Many policies of one form behind the face of a single one: they act, and are differentiated, together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from reprise.multi_objective_rl.policy import Policy
from reprise.multi_objective_rl.sampling import Transitions

Values = dict[str, Tensor]


class PolicyStack(Policy):
    """One policy for each task; observations come task by task, equally many of each.

    `Sampler.sample` and `evaluate` take it as a policy for as many tasks as there are policies.

    Parameters
    ----------
    policies : sequence of Policy
        Of one form, with the same normalisation of observations. Left as they are.

    Attributes
    ----------
    values : dict of Tensor, shape (policies, ...)
        Parameters, stacked.

    Raises
    ------
    ValueError
        If there is none, or forms differ.
    """

    base: Policy

    def __init__(self, policies: Sequence[Policy]) -> None:
        nn.Module.__init__(self)
        if not policies:
            raise ValueError("policies must be at least one, got none")
        base = policies[0]
        shapes = [{name: value.shape for name, value in policy.state_dict().items()} for policy in policies]
        if any(shape != shapes[0] for shape in shapes):
            raise ValueError("policies must be of one form: their parameters differ in names or shapes")
        self.__dict__["base"] = base  # not a submodule: its parameters are not those that act
        for name in ("observation_space", "action_space", "tasks", "observation_size", "inputs_size", "discrete"):
            setattr(self, name, getattr(base, name))
        self.outputs_size, self.count = base.outputs_size, len(policies)
        self.register_buffer("shift", base.shift)
        self.register_buffer("spread", base.spread)
        named = [dict(policy.named_parameters()) for policy in policies]
        self.values: Values = {name: torch.stack([each[name].detach() for each in named]) for name in named[0]}

    def forward(self, observations: Tensor) -> Tensor:
        """Outputs for (..., policies * copies, s), each task by its own parameters."""
        lead = observations.shape[:-2]
        grouped = observations.reshape(*lead, self.count, -1, observations.shape[-1])
        grouped = grouped.movedim(-3, 0)  # (tasks, ..., copies, s)
        outputs = torch.func.vmap(self._call)(self.values, grouped).movedim(0, -3)
        return outputs.reshape(*lead, observations.shape[-2], -1)

    def gradients(self, transitions: Transitions) -> Values:
        """∇E[log π Â] of every task at its own parameters, stacked; advantages standardised in each task."""
        batch = transitions.standardised()
        rows = [
            getattr(batch, name).unflatten(0, (self.count, -1)) for name in ("observations", "actions", "advantages")
        ]

        def gain(values: Values, observations: Tensor, actions: Tensor, advantages: Tensor) -> Tensor:
            outputs = self._call(values, observations)
            return (self.log_prob_of(outputs, actions) * advantages).mean()

        found: Values = torch.func.vmap(torch.func.grad(gain))(self.values, *rows)
        return found

    def ascend(self, transitions: Transitions, rate: float) -> None:
        """One gradient step for every task."""
        gradients = self.gradients(transitions)
        self.values = {name: value + rate * gradients[name] for name, value in self.values.items()}

    def policies(self) -> list[Policy]:
        """The tasks' policies, one by one."""
        found = []
        for index in range(self.count):
            policy = self.base.copy()
            with torch.no_grad():
                for name, parameter in policy.named_parameters():
                    parameter.copy_(self.values[name][index])
            found.append(policy)
        return found

    def _call(self, values: Values, observations: Tensor) -> Tensor:
        buffers = {"shift": self.shift, "spread": self.spread}
        result: Tensor = torch.func.functional_call(self.base, {**values, **buffers}, (observations,))
        return result
