"""Trajectories of one algorithm on a batch of graphs, as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reprise.algorithmic_reasoning.probes import Probe, spec
from reprise.algorithmic_reasoning.tracers import Traces

Array = np.ndarray[Any, Any]
Tensors = dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class Trajectories:
    """What an algorithm read, thought and answered on B graphs of N nodes.

    Attributes
    ----------
    name : str
        Of the algorithm.
    inputs, outputs : dict of str to Tensor, shape (B, …)
        By probe, see `spec`. Scalars are float64, pointers int64, all else int8; masks of one and categoricals one-hot.
    hints : dict of str to Tensor, shape (T, B, …)
        Zero beyond a graph's length.
    lengths : Tensor of int64, shape (B,)
        Recorded steps of each graph.
    """

    name: str
    inputs: Tensors
    hints: Tensors
    outputs: Tensors
    lengths: Tensor

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def nodes(self) -> int:
        """N."""
        return self.inputs["pos"].shape[1]

    @property
    def steps(self) -> int:
        """T, the longest length."""
        return int(self.lengths.max())

    def to(self, device: torch.device | str) -> Trajectories:
        """The same on a device."""
        inputs, hints, outputs = (
            {name: values.to(device) for name, values in stage.items()}
            for stage in (self.inputs, self.hints, self.outputs)
        )
        return replace(self, inputs=inputs, hints=hints, outputs=outputs, lengths=self.lengths.to(device))

    def select(self, graphs: Sequence[int] | slice) -> Trajectories:
        """Those of some graphs, cut to their longest length."""
        lengths = self.lengths[graphs]
        return replace(
            self,
            inputs={name: values[graphs] for name, values in self.inputs.items()},
            hints={name: values[: int(lengths.max()), graphs] for name, values in self.hints.items()},
            outputs={name: values[graphs] for name, values in self.outputs.items()},
            lengths=lengths,
        )


def stack(
    name: str, matrices: Sequence[Array], sources: Sequence[int | None], traces: Sequence[Traces]
) -> Trajectories:
    """Trajectories of traces on graphs of one size.

    Parameters
    ----------
    name : str
    matrices : sequence of ndarray, shape (N, N)
    sources : sequence of int or None
    traces : sequence of Traces
        Together of all of these graphs, in their order.
    """
    probes, nodes = spec(name), len(matrices[0])
    lengths = np.concatenate([part.lengths for part in traces])
    present = np.arange(lengths.max())[:, None] < lengths
    A = np.stack(matrices)
    inputs: dict[str, Array] = {
        "pos": np.broadcast_to(np.arange(nodes) / nodes, A.shape[:2]).copy(),
        "A": A,
        "adj": (A + np.eye(nodes)) != 0,
    }
    if "s" in probes and probes["s"].stage == "input":
        inputs["s"] = np.array(sources)
    hints, outputs = {}, {}
    for probe_name, probe in probes.items():
        if probe.stage == "output":
            outputs[probe_name] = np.concatenate([part.outputs[probe_name] for part in traces])
        elif probe.stage == "hint":
            hints[probe_name] = _padded([part.hints[probe_name] for part in traces], present)
    return Trajectories(
        name,
        {key: _tensor(values, probes[key], nodes) for key, values in inputs.items()},
        {key: _tensor(values, probes[key], nodes, present) for key, values in hints.items()},
        {key: _tensor(values, probes[key], nodes) for key, values in outputs.items()},
        torch.from_numpy(lengths),
    )


def _padded(parts: Sequence[Array], present: Array) -> Array:
    """A hint of all graphs, time first, with zeros where a graph has no step; `present` has shape (T, B)."""
    result = np.zeros((*present.shape, *parts[0].shape[2:]), dtype=parts[0].dtype)
    start = 0
    for part in parts:
        graphs, steps = slice(start, start + len(part)), min(part.shape[1], len(present))
        taken = present[:steps, graphs].reshape(steps, len(part), *(1,) * (part.ndim - 2))
        np.copyto(result[:steps, graphs], part[:, :steps].swapaxes(0, 1), where=taken)
        start += len(part)
    return result


def _tensor(values: Array, probe: Probe, nodes: int, present: Array | None = None) -> Tensor:
    if probe.type == "scalar":
        return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float64))
    if probe.type == "mask":
        return torch.from_numpy(np.ascontiguousarray(values, dtype=np.int8))
    tensor = torch.from_numpy(np.ascontiguousarray(values, dtype=np.int64))
    if probe.type == "pointer":
        return tensor
    classes = nodes if probe.type == "mask_one" else probe.categories
    one_hot = torch.nn.functional.one_hot(tensor, classes).to(torch.int8)
    if present is not None:
        one_hot *= torch.from_numpy(present).reshape(*present.shape, *(1,) * (one_hot.ndim - 2))
    return one_hot
