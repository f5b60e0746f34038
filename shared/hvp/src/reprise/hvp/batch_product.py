"""The curvature product of one batch, prepared by each strategy: what is computed once, and what for every vector."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from .blocks import Prepared, elapsed
from .contexts import differentiable
from .data import tensor_bytes
from .failures import explain_failure
from .kinds import Kind
from .linearize import LinearProgram, NotLinearizable, trace_linear
from .objective import Objective, Tensors
from .parameters import ParameterSpace
from .settings import Settings, Strategy


@dataclass
class BatchProducts:
    """Prepares the products of batches at the parameters' present values."""

    kind: Kind
    objective: Objective
    space: ParameterSpace
    settings: Settings
    programs: dict[Any, LinearProgram] = field(default_factory=dict)

    def __post_init__(self) -> None:
        everything = self.objective.trainable | self.objective.fixed
        self.held = {name: tensor for name, tensor in everything.items() if name not in self.space.tensors}

    def at(self) -> Tensors:
        """The parameters of the space."""
        return {name: p.detach() for name, p in self.space.tensors.items()}

    def fixed(self) -> Tensors:
        """Everything else that the function reads."""
        return {name: p.detach() for name, p in self.held.items()}

    def loss(self, batch: Any, at: Tensors | None = None) -> Tensor:
        """Loss of a batch without a graph, within `context`."""
        with torch.no_grad():
            return self.objective.loss((self.at() if at is None else at) | self.fixed(), batch)

    def context(self) -> AbstractContextManager[None]:
        """The state of torch for passes over the model."""
        return differentiable(
            self.objective.model,
            self.space.device,
            batch_norm=self.settings.batch_norm,
            seed=0 if self.settings.freeze_randomness else None,
            allow_tf32=self.settings.allow_tf32,
        )

    def prepare(self, strategy: Strategy, batch: Any) -> Prepared:
        """The product of a batch by one strategy, within `context`."""
        if strategy == "linearize":
            return self._linearize(batch)
        kind, objective, space = self.kind, self.objective, self.space
        fixed, at = self.fixed(), self.at()
        if strategy == "retained":
            saved = _SavedBytes()
            with saved:
                _, linear = kind.retain(objective, batch, fixed, at)
            return Prepared(lambda v: space.flatten(linear(space.unflatten(v))), saved.total)

        def product(vector: Tensor) -> Tensor:
            tangent = space.unflatten(vector)
            if strategy == "forward-over-reverse":
                return space.flatten(kind.product(objective, batch, fixed, at, tangent)[1])
            if strategy == "reverse-over-reverse":
                return space.flatten(kind.retain(objective, batch, fixed, at)[1](tangent))
            return space.flatten(kind.difference(objective, batch, fixed, at, tangent))

        return Prepared(product, vectorised=strategy == "forward-over-reverse")

    def fastest(self, batch: Any) -> Strategy:
        """The faster of the two strategies that keep work between products, by the faster of two products."""
        times: dict[Strategy, float] = {}
        failure: Exception | None = None
        vector = torch.ones(self.space.size, dtype=self.space.dtype, device=self.space.device)
        candidates: tuple[Strategy, ...] = ("retained", "linearize")
        for strategy in candidates:
            try:
                prepared = self.prepare(strategy, batch)
                prepared.apply(vector)

                def once(strategy: Strategy = strategy, prepared: Prepared = prepared) -> Tensor:
                    # streamed batches are prepared anew for every product
                    ready = self.prepare(strategy, batch) if self.settings.resident is False else prepared
                    return ready.apply(vector)

                times[strategy] = min(elapsed(once, self.space.device) for _ in range(2))
            except (NotLinearizable, RuntimeError, NotImplementedError) as error:
                failure = failure or error
        if not times:
            assert failure is not None
            with explain_failure("auto"):
                raise failure
        return min(times, key=lambda strategy: times[strategy])

    def _linearize(self, batch: Any) -> Prepared:
        leaves, structure = pytree.tree_flatten(batch)
        static = [leaf for leaf in leaves if not isinstance(leaf, Tensor)]
        inputs = [
            *self.at().values(),
            *self.fixed().values(),
            *(leaf for leaf in leaves if isinstance(leaf, Tensor)),
        ]
        shareable = all(leaf is None or isinstance(leaf, (bool, int, float, str)) for leaf in static)
        signature = (structure, *map(_signature, leaves), *self._modes()) if shareable else None
        program = self.programs.get(signature)
        residuals = None if program is None else self._reuse(program, inputs, batch)
        if program is None or residuals is None:
            program = self._trace(leaves, structure, inputs)
            if signature is not None:
                self.programs[signature] = program
            with self.context():  # seeded anew: the noise of a single pass
                _, residuals = program.at(inputs)
        owned = {tensor.untyped_storage().data_ptr() for tensor in inputs}
        size = tensor_bytes(r for r in residuals if r.untyped_storage().data_ptr() not in owned)
        return Prepared(lambda v: program.apply(v, residuals), size)

    def _trace(self, leaves: list[Any], structure: pytree.TreeSpec, inputs: list[Tensor]) -> LinearProgram:
        def product(tensors: Any, vector: Tensor) -> tuple[Tensor, Tensor]:
            values = iter(tensors)
            at = {name: next(values) for name in self.space.names}
            fixed = {name: next(values) for name in self.held}
            filled = [next(values) if isinstance(leaf, Tensor) else leaf for leaf in leaves]
            batch = pytree.tree_unflatten(filled, structure)
            value, result = self.kind.product(self.objective, batch, fixed, at, self.space.unflatten(vector))
            return value, self.space.flatten(result)

        zero = torch.zeros(self.space.size, dtype=self.space.dtype, device=self.space.device)
        program = trace_linear(product, inputs, zero)
        if not self.settings.compile:
            return program
        return program.compiled(None if self.settings.compile is True else self.settings.compile)

    def _reuse(self, program: LinearProgram, inputs: list[Tensor], batch: Any) -> list[Tensor] | None:
        """Residuals of a traced program at other inputs, or None if the trace does not hold there."""
        try:
            with self.context():
                value, residuals = program.at(inputs)
        except (RuntimeError, IndexError):
            return None
        expected = self.loss(batch)
        # a trace has frozen whatever the model computed in Python from the values of another batch
        tolerance = 10 * torch.finfo(expected.dtype).eps ** 0.75
        return residuals if torch.allclose(value, expected, rtol=tolerance, atol=tolerance) else None

    def _modes(self) -> list[bool]:
        return [module.training for module in self.objective.model.modules()] if self.objective.model else []


class _SavedBytes(torch.autograd.graph.saved_tensors_hooks):
    """Counts the memory that a graph keeps, while it is built."""

    def __init__(self) -> None:
        self.storages: dict[int, int] = {}

        def pack(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            self.storages[storage.data_ptr()] = storage.nbytes()
            return tensor.detach()  # the tensor itself would hold the graph that holds it

        super().__init__(pack, lambda tensor: tensor)

    @property
    def total(self) -> int:
        """Bytes seen so far, shared memory counted once."""
        return sum(self.storages.values())


def _signature(leaf: Any) -> Any:
    return (leaf.shape, leaf.dtype, leaf.device) if isinstance(leaf, Tensor) else (type(leaf), leaf)
