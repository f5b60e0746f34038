"""Encode, process, decode: a network that takes an algorithm's steps one by one, from its own last step.

The layers between encoders and decoders are shared by the tasks as a `BranchingStructure` says; encoders and decoders
are each task's own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from reprise.algorithmic_reasoning.decoders import Read, Widths, bind, decoder
from reprise.algorithmic_reasoning.encoders import Encoder, blank
from reprise.algorithmic_reasoning.layout import Group, groups_of, pack
from reprise.algorithmic_reasoning.losses import Prediction
from reprise.algorithmic_reasoning.probes import require_algorithm, spec
from reprise.algorithmic_reasoning.processors.families import ALONG_EDGES, HEADED, PROCESSORS, Process, make_processor
from reprise.algorithmic_reasoning.processors.initial import linear
from reprise.algorithmic_reasoning.structure import BranchingStructure
from reprise.algorithmic_reasoning.trajectories import Trajectories
from reprise.algorithmic_reasoning.validation import choice, integer

Tensors = dict[str, Tensor]


class Task(nn.Module):
    """Encoders and decoders of one algorithm.

    Parameters
    ----------
    name : str
    hidden : int
        d.
    edges : int
        Width of what edges decode from: 2 d where the processor returns edges, else d.
    projection : int or None
        Width to which states are brought before they are decoded.
    """

    def __init__(self, name: str, hidden: int, edges: int, projection: int | None) -> None:
        super().__init__()
        probes = spec(name)
        stages = {stage: {k: p for k, p in probes.items() if p.stage == stage} for stage in ("input", "hint", "output")}
        self.hints, self.outputs = groups_of(stages["hint"]), groups_of(stages["output"])
        self.encode_inputs = Encoder(stages["input"], hidden)
        self.encode_hints = Encoder(stages["hint"], hidden)
        sizes = (3 * hidden, edges, hidden)
        self.projections = None
        if projection is not None:
            read = sizes if any(probe.location == "graph" for probe in probes.values()) else sizes[:2]
            self.projections = nn.ModuleList([linear(size, projection) for size in read])
            sizes = (projection,) * 3
        widths = Widths(*sizes, projection or hidden)
        self.decode_hints = nn.ModuleDict({k: decoder(p, widths) for k, p in stages["hint"].items()})
        self.decode_outputs = nn.ModuleDict({k: decoder(p, widths) for k, p in stages["output"].items()})

    def read(self, nodes: Tensor, edges: Tensor, graph: Tensor) -> Read:
        """What decoders read."""
        if self.projections is None:
            return nodes, edges, graph
        first, second, *third = self.projections
        return first(nodes), second(edges), third[0](graph) if third else graph


class Reasoner(nn.Module):
    """A network for several algorithms.

    Parameters
    ----------
    algorithms : sequence of str
        The tasks.
    processor : {"edge_transformer", "mpnn", "gmpnn", "triplet_gmpnn", "gatv2", "pgn", "pgn_mask"}
        What is between encoders and decoders: the Edge Transformer; message passing between all nodes, with gates,
        with gates and triplets; attention along edges; message passing along edges, and with pointers along edges too.
    hidden : int
        d.
    layers : int
        L; as many as `structure` has, where that is given.
    heads : int
        Of attention; `hidden` must be a multiple.
    projection : int or None
        Width to which states are brought before they are decoded; None to decode them as they are.
    structure : BranchingStructure, optional
        Which tasks share which module; all share all when not given.

    Raises
    ------
    ValueError
        If an algorithm or processor is unknown, or `structure` is of other tasks.

    Examples
    --------
    >>> from reprise.algorithmic_reasoning import sample
    >>> model = Reasoner(["bfs", "dfs"], processor="mpnn", hidden=16, layers=1)
    >>> model(sample("bfs", nodes=5, samples=2, seed=0)).outputs["pi"].shape
    torch.Size([2, 5, 5])
    """

    def __init__(
        self,
        algorithms: Sequence[str],
        processor: str = "edge_transformer",
        *,
        hidden: int = 192,
        layers: int = 5,
        heads: int = 12,
        projection: int | None = 16,
        structure: BranchingStructure | None = None,
    ) -> None:
        super().__init__()
        if isinstance(algorithms, str) or not algorithms:
            raise ValueError(f"algorithms must be a list of at least one name, got {algorithms!r}")
        names = [require_algorithm(name) for name in algorithms]
        if len(set(names)) < len(names):
            raise ValueError(f"algorithms must be different, got {', '.join(names)}")
        self.kind = choice("processor", processor, PROCESSORS)
        self.hidden = integer("hidden", hidden)
        if self.kind in HEADED and hidden % integer("heads", heads):
            raise ValueError(f"hidden must be a multiple of heads ({heads}), got {hidden}")
        if projection is not None:
            integer("projection", projection)
        self.structure = structure or BranchingStructure.shared(names, integer("layers", layers))
        if self.structure.tasks != frozenset(names):
            raise ValueError(
                f"structure must be of the tasks {', '.join(sorted(names))}, got "
                f"{', '.join(sorted(self.structure.tasks))}"
            )
        self.routes = {name: self.structure.route(name) for name in names}
        self.processor = make_processor(self.kind, hidden, heads, self.structure.counts)
        edges = 2 * hidden if self.processor.returns_edges else hidden
        self.tasks = nn.ModuleDict({name: Task(name, hidden, edges, projection) for name in names})

    def forward(self, trajectories: Trajectories, *, keep_hints: bool = True) -> Prediction:
        """Predict every step and the answer.

        Parameters
        ----------
        trajectories : Trajectories
            Its inputs, lengths and first hints are read; later hints are the network's own, softly fed back.
        keep_hints : bool
            Return the hints as well, which a loss needs and an evaluation does not.

        Returns
        -------
        Prediction
            A graph's answer is that of its own last step.

        Raises
        ------
        ValueError
            If the network was not made for this algorithm.
        """
        if trajectories.name not in self.routes:
            raise ValueError(f"trajectories must be of {', '.join(self.routes)}, got {trajectories.name}")
        task = self.tasks[trajectories.name]
        assert isinstance(task, Task)
        like = next(task.parameters())
        # One by one: torch 2.9 can make no list of a tensor within `torch.func`.
        ending = {max(int(length) - 2, 0) for length in trajectories.lengths.cpu()}
        trajectories = trajectories.to(like.device)
        batch, nodes = trajectories.inputs["pos"].shape
        start = blank(batch, nodes, self.hidden, like, adjacency=self.kind in ALONG_EDGES)
        given = pack(task.encode_inputs.groups, trajectories.inputs, nodes, like)
        inputs = task.encode_inputs.bind()(given, start)
        hints = pack(task.hints, {name: values[0] for name, values in trajectories.hints.items()}, nodes, like)
        encode, process = task.encode_hints.bind(), self._bind_processor(trajectories.name)
        decode_hints = self._decoder(task.decode_hints, task.hints)
        decode_outputs = self._decoder(task.decode_outputs, task.outputs)
        state = inputs.nodes.new_zeros(inputs.nodes.shape)
        last_steps = (trajectories.lengths - 2).clamp_min(0)
        outputs: list[Tensor] = []
        kept: list[list[Tensor]] = []
        steps = max(1, trajectories.steps - 1)
        keep_hints = keep_hints and trajectories.steps > 1
        for step in range(steps):
            x, e, g, adjacency = encode(hints, inputs)
            new, new_edges = process(x, e, g, adjacency, state)
            edges = e if new_edges is None else torch.cat([e, new_edges], dim=-1)
            read = task.read(torch.cat([x, state, new], dim=-1), edges, g)
            state = new
            if step in ending:
                ends = last_steps == step
                found = decode_outputs(read, adjacency)
                outputs = [_where(ends, now, old) for now, old in zip(found, outputs or found)]
            if step + 1 < steps or keep_hints:
                logits = decode_hints(read, adjacency)
                hints = [group.soft(value) for group, value in zip(task.hints, logits)]
                if keep_hints:
                    kept.append(logits)
        stacked = [torch.stack(values) for values in zip(*kept)]
        return Prediction(trajectories.name, _by_name(task.outputs, outputs), _by_name(task.hints, stacked))

    def _bind_processor(self, name: str) -> Process:
        """What a task's steps are processed by, with the present weights."""
        return self.processor.bind(self.routes[name])

    def _decoder(
        self, decoders: nn.ModuleDict, groups: Sequence[Group]
    ) -> Callable[[Read, Tensor | None], list[Tensor]]:
        decode = bind(dict(decoders.items()), groups)

        def logits(read: Read, adjacency: Tensor | None) -> list[Tensor]:
            found = decode(read)
            if self.kind == "pgn_mask" and adjacency is not None:
                found = [_along(adjacency, value) if value.ndim == 4 else value for value in found]
            return found

        return logits


def _where(chosen: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """The first tensor's graphs where they are chosen, else the second's."""
    if first is second:
        return first
    return torch.where(chosen.reshape(-1, *(1,) * (first.ndim - 1)), first, second)


def _along(adjacency: Tensor, logits: Tensor) -> Tensor:
    """Logits of pairs of nodes, shape (B, N, N, C), below all others where there is no edge."""
    smallest = logits.detach().amin(dim=(1, 2), keepdim=True)
    return torch.where(adjacency[..., None], logits, torch.clamp(smallest - 1, max=-1.0))


def _by_name(groups: Sequence[Group], packed: Sequence[Tensor]) -> Tensors:
    return {name: value for group, values in zip(groups, packed) for name, value in group.unpack(values).items()}
