"""Trajectories as text, in the form of CLRS-Text (Markeeva et al. 2024): the graph a question, the steps its answer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from reprise.algorithmic_reasoning.own_graph import trace
from reprise.algorithmic_reasoning.probes import Probe, spec
from reprise.algorithmic_reasoning.sampling import FAMILIES, sample
from reprise.algorithmic_reasoning.trajectories import Trajectories
from reprise.algorithmic_reasoning.validation import integer

DIGITS = 3  # of weights


@dataclass(frozen=True)
class Text:
    """One graph's question and answer."""

    question: str
    answer: str


def to_text(
    trajectories: Trajectories,
    *,
    hints: bool = True,
    max_steps: int | None = None,
    generator: torch.Generator | None = None,
) -> list[Text]:
    """Questions and answers of trajectories.

    Parameters
    ----------
    trajectories : Trajectories
        For the original form, of graphs whose weights have three decimals: see `text_sample`.
    hints : bool
        Write the steps of what becomes the output; the first is part of the question, and the last, which the output
        repeats, is left out.
    max_steps : int, optional
        Write at most so many steps, drawn at random, in order.
    generator : torch.Generator, optional
        Source of that draw.

    Returns
    -------
    list of Text

    Raises
    ------
    ValueError
        If `max_steps` is below 1.

    Examples
    --------
    >>> from reprise.algorithmic_reasoning import trace
    >>> print(to_text(trace("bfs", [[0, 1], [1, 0]], source=0))[0].question)
    bfs:
    s: 0, A: [[0 1], [1 0]], initial_trace: [0 1]
    trace | pi:
    <BLANKLINE>
    """
    if max_steps is not None:
        integer("max_steps", max_steps)
    name, probes = trajectories.name, spec(trajectories.name)
    outputs = [key for key, probe in probes.items() if probe.stage == "output"]
    shown = [key for key in ("s", "A") if key in trajectories.inputs]
    whole = not FAMILIES[name].weighted and name != "strongly_connected_components"
    found = []
    for graph, length in enumerate(trajectories.lengths.tolist()):
        inputs = [f"{key}: {_written(probes[key], trajectories.inputs[key][graph], whole)}" for key in shown]
        answer = ", ".join(_written(probes[key], trajectories.outputs[key][graph], True) for key in outputs)
        asked = ", ".join(outputs)
        if not hints:
            found.append(Text(f"{name}:\n{', '.join(inputs)}\n{asked}:\n", f"{answer}\n\n"))
            continue
        steps = [
            ", ".join(
                _written(probes[f"{key}_h"], trajectories.hints[f"{key}_h"][step, graph], True) for key in outputs
            )
            for step in range(length)
        ]
        inner = steps[1:-1]
        if max_steps is not None and len(inner) > max_steps:
            kept = torch.randperm(len(inner), generator=generator)[:max_steps].sort().values.tolist()
            inner = [inner[step] for step in kept]
        question = f"{name}:\n{', '.join(inputs)}, initial_trace: {steps[0]}\ntrace | {asked}:\n"
        found.append(Text(question, f"{', '.join(inner)} | {answer}\n\n"))
    return found


def text_sample(name: str, *, nodes: int, samples: int, seed: int) -> list[Trajectories]:
    """Random graphs as CLRS-Text has them: weights are cut to three decimals before the algorithm runs.

    Parameters and errors as of `sample`; one trajectory per graph.
    """
    drawn = sample(name, nodes=nodes, samples=samples, seed=seed)
    found = []
    for graph in range(samples):
        A = np.trunc(drawn.inputs["A"][graph].numpy() * 10**DIGITS) / 10**DIGITS
        source = int(drawn.inputs["s"][graph].argmax()) if "s" in drawn.inputs else None
        found.append(trace(name, A, source))
    return found


def _written(probe: Probe, value: Tensor, whole: bool) -> str:
    if probe.type == "mask_one":
        return str(int(value.argmax()))
    numbers = value.tolist()
    convert = int if whole else float
    if value.ndim == 1:
        return _row(numbers, convert)
    return f"[{', '.join(_row(row, convert) for row in numbers)}]"


def _row(numbers: list[float], convert: type[int] | type[float]) -> str:
    return f"[{' '.join(str(convert(number)) for number in numbers)}]"
