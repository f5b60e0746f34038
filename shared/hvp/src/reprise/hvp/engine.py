"""The mean of a curvature product over batches: strategies, what stays in memory, loops and vectorised blocks."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, get_args

import torch
from torch import Tensor
from torch.distributed import ProcessGroup
from torch.utils import _pytree as pytree

from .contexts import BatchNorm, differentiable
from .data import Batches, tensor_bytes
from .distributed import broadcast, sum_over
from .failures import explain_failure
from .linearize import LinearProgram, NotLinearizable, trace_linear
from .objective import Objective, Tensors
from .parameters import ParameterSpace

Strategy = Literal["auto", "linearize", "retained", "forward-over-reverse", "reverse-over-reverse", "finite-difference"]
Block = Literal["auto", "loop", "vmap"]
Vector = Callable[[Tensor], Tensor]
Function = Callable[[Tensors], Any]


class Kind(Protocol):
    """A kind of curvature: how one batch's product is formed (see `products`)."""

    def product(
        self, objective: Objective, batch: Any, fixed: Tensors, at: Tensors, tangent: Tensors
    ) -> tuple[Tensor, Tensors]:
        """Value and product in one go."""

    def retain(
        self, objective: Objective, batch: Any, fixed: Tensors, at: Tensors
    ) -> tuple[Tensor, Callable[[Tensors], Tensors]]:
        """Value and product with graphs kept."""

    def difference(self, objective: Objective, batch: Any, fixed: Tensors, at: Tensors, tangent: Tensors) -> Tensors:
        """Product by finite differences."""


@dataclass(frozen=True)
class Settings:
    """How products are formed; the arguments of `operators.Hessian`."""

    strategy: Strategy = "auto"
    resident: bool | Literal["auto"] = "auto"
    memory_budget: int = 2**32
    block: Block = "auto"
    chunk_size: int | None = None
    compile: bool | str = False
    batch_norm: BatchNorm = "eval"
    freeze_randomness: bool = False
    allow_tf32: bool = False
    process_group: ProcessGroup | None = None

    def __post_init__(self) -> None:
        for name, allowed in (("strategy", get_args(Strategy)), ("block", get_args(Block))):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {allowed}, got {getattr(self, name)!r}")
        if self.resident not in (True, False, "auto"):
            raise ValueError(f"resident must be True, False or 'auto', got {self.resident!r}")
        if self.chunk_size is not None and self.chunk_size < 1:
            raise ValueError(f"chunk_size must be at least 1, got {self.chunk_size}")


@dataclass(frozen=True)
class Prepared:
    """The product of one batch, ready to apply; `size` is what keeping it costs in bytes."""

    apply: Vector
    size: int
    vectorised: bool = True


@dataclass
class Engine:
    """Products of one kind of curvature, as the weighted mean over batches."""

    kind: Kind
    objective: Objective
    space: ParameterSpace
    batches: Batches
    settings: Settings
    strategy: Strategy = field(init=False)
    block: Block = field(init=False)

    def __post_init__(self) -> None:
        self.strategy = self.settings.strategy
        self.block = self.settings.block
        self.fixed = {
            name: tensor
            for name, tensor in (self.objective.trainable | self.objective.fixed).items()
            if name not in self.space.tensors
        }
        self.kept: dict[int, Prepared] = {}
        self.seen: set[int] = set()
        self.programs: dict[Any, LinearProgram] = {}
        self.taken = 0
        self.fingerprint = self._fingerprint()

    def apply(self, rows: Tensor) -> Tensor:
        """Products with the rows of a block, (K, P) to (K, P)."""
        self._notice_changes()
        group = self.settings.process_group
        rows = broadcast(rows, group)
        if self.batches.single and group is None:
            batch = self.batches.first()
            with self.context():
                return self._multiply(self._prepared(0, batch), rows)
        wide = torch.float64 if rows.device.type == "cpu" else torch.promote_types(rows.dtype, torch.float32)
        total = torch.zeros(rows.shape, dtype=wide, device=rows.device)
        weights = 0.0
        for index, batch in enumerate(self.batches):
            weight = self.objective.weight(batch)
            with self.context():
                total.add_(self._multiply(self._prepared(index, batch), rows), alpha=weight)
            weights += weight
        total, weights = sum_over(total, weights, group)
        return (total / weights).to(rows.dtype)

    def mean(self, quantity: Callable[[Any], Tensor]) -> Tensor:
        """Weighted mean over the batches of ``quantity(batch)``."""
        total, weights = torch.zeros((), dtype=torch.float64), 0.0
        for index, batch in enumerate(self.batches):
            weight = self.objective.weight(batch)
            with self.context():
                part = quantity(batch)
            total = total.to(part.device) + weight * part.detach().to(torch.promote_types(part.dtype, torch.float32))
            weights += weight
        total, weights = sum_over(total, weights, self.settings.process_group)
        return total / weights

    def multiply(self, index: int, batch: Any, rows: Tensor) -> Tensor:
        """Products of batch `index` alone with the rows of a block, (K, P) to (K, P), within `context`."""
        return self._loop(self._prepared(index, batch), rows)

    def loss_on(self, batch: Any) -> float:
        """Loss of one batch, within `context`."""
        with torch.no_grad():
            return float(self.objective.loss(self._at() | self._held_fixed(), batch))

    def value(self, displacement: Tensor | None = None) -> float:
        """Mean loss at θ, or at θ + displacement."""
        at = self._at()
        if displacement is not None:
            moved = self.space.unflatten(displacement)
            at = {name: tensor + moved[name] for name, tensor in at.items()}
        tensors = at | self._held_fixed()
        with torch.no_grad():
            return float(self.mean(lambda batch: self.objective.loss(tensors, batch)))

    def gradient(self) -> Tensor:
        """Gradient of the mean loss, shape (P,)."""
        leaves = {name: p.requires_grad_() for name, p in self._at().items()}
        tensors = leaves | self._held_fixed()

        def of_batch(batch: Any) -> Tensor:
            with torch.enable_grad():
                value = self.objective.loss(tensors, batch)
                parts = torch.autograd.grad(value, list(leaves.values()), materialize_grads=True)
            return self.space.flatten(dict(zip(leaves, parts)))

        return self.mean(of_batch).to(self.space.dtype)

    def context(self) -> Any:
        """The state of torch for passes over the model."""
        return differentiable(
            self.objective.model,
            self.space.device,
            batch_norm=self.settings.batch_norm,
            seed=0 if self.settings.freeze_randomness else None,
            allow_tf32=self.settings.allow_tf32,
        )

    def forget(self) -> None:
        """Drop everything computed at the parameters' present values."""
        self.kept.clear()
        self.seen.clear()
        self.taken = 0

    def _at(self) -> Tensors:
        return {name: p.detach() for name, p in self.space.tensors.items()}

    def _held_fixed(self) -> Tensors:
        return {name: p.detach() for name, p in self.fixed.items()}

    def _fingerprint(self) -> list[tuple[int, int]]:
        # an in-place update moves the version, an assignment to .data the address
        return [(t._version, t.data_ptr()) for t in (*self.space.tensors.values(), *self.fixed.values())]

    def _modes(self) -> list[bool]:
        return [module.training for module in self.objective.model.modules()] if self.objective.model else []

    def _notice_changes(self) -> None:
        now = self._fingerprint()
        if now != self.fingerprint:
            self.forget()
            self.fingerprint = now

    def _prepared(self, index: int, batch: Any) -> Prepared:
        found = self.kept.get(index)
        if found is None:
            if self.strategy == "auto":
                self.strategy = self._fastest(batch, index)
            with explain_failure(self.strategy):
                found = self._prepare(self.strategy, batch, index)
            room = self.settings.resident is True or self.taken + found.size <= self.settings.memory_budget
            if self.settings.resident is not False and room:
                self.kept[index] = found
                self.taken += found.size
        return found

    def _fastest(self, batch: Any, index: int) -> Strategy:
        """The faster of the two ways to keep work between products, by products with two vectors."""
        times: dict[Strategy, float] = {}
        failure: Exception | None = None
        vector = torch.ones(self.space.size, dtype=self.space.dtype, device=self.space.device)
        candidates: tuple[Strategy, ...] = ("retained", "linearize")
        for strategy in candidates:
            try:
                prepared = self._prepare(strategy, batch, index)
                prepared.apply(vector)
                start = self._clock()
                prepared.apply(vector)
                times[strategy] = self._clock() - start
            except (NotLinearizable, RuntimeError, NotImplementedError) as error:
                failure = failure or error
        if not times:
            assert failure is not None
            with explain_failure("auto"):
                raise failure
        return min(times, key=lambda strategy: times[strategy])

    def _clock(self) -> float:
        if self.space.device.type == "cuda":
            torch.cuda.synchronize(self.space.device)
        return time.perf_counter()

    def _prepare(self, strategy: Strategy, batch: Any, index: int) -> Prepared:
        if index not in self.seen:
            self.validate(batch, index)
            self.seen.add(index)
        if strategy == "linearize":
            return self._linearize(batch)
        objective, fixed, at, space = self.objective, self._held_fixed(), self._at(), self.space
        if strategy == "retained":
            size = _SavedBytes()
            with size:
                _, linear = self.kind.retain(objective, batch, fixed, at)
            return Prepared(lambda v: space.flatten(linear(space.unflatten(v))), size.total)
        if strategy == "reverse-over-reverse":
            return Prepared(
                lambda v: space.flatten(self.kind.retain(objective, batch, fixed, at)[1](space.unflatten(v))), 0, False
            )
        if strategy == "forward-over-reverse":
            return Prepared(
                lambda v: space.flatten(self.kind.product(objective, batch, fixed, at, space.unflatten(v))[1]), 0
            )
        return Prepared(
            lambda v: space.flatten(self.kind.difference(objective, batch, fixed, at, space.unflatten(v))), 0, False
        )

    def _linearize(self, batch: Any) -> Prepared:
        leaves, structure = pytree.tree_flatten(batch)
        moving = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        static = [leaf for leaf in leaves if not isinstance(leaf, Tensor)]
        shareable = all(leaf is None or isinstance(leaf, (bool, int, float, str)) for leaf in static)
        signature = (structure, *map(_signature, leaves), *self._modes()) if shareable else None
        names, fixed_names = self.space.names, list(self.fixed)

        def product(inputs: Any, vector: Tensor) -> tuple[Tensor, Tensor]:
            values = iter(inputs)
            at = {name: next(values) for name in names}
            fixed = {name: next(values) for name in fixed_names}
            filled = [next(values) if isinstance(leaf, Tensor) else leaf for leaf in leaves]
            here = pytree.tree_unflatten(filled, structure)
            value, result = self.kind.product(self.objective, here, fixed, at, self.space.unflatten(vector))
            return value, self.space.flatten(result)

        inputs = [*self._at().values(), *self._held_fixed().values(), *moving]
        program = self.programs.get(signature) if signature is not None else None
        if program is not None:
            residuals = self._reuse(program, inputs, batch)
            if residuals is not None:
                return self._from_program(program, residuals, inputs)
        zero = torch.zeros(self.space.size, dtype=self.space.dtype, device=self.space.device)
        program = trace_linear(product, inputs, zero)
        if self.settings.compile:
            program = program.compiled(None if self.settings.compile is True else self.settings.compile)
        if signature is not None:
            self.programs[signature] = program
        with self.context():  # seeded anew: the noise of a single pass
            _, residuals = program.at(inputs)
        return self._from_program(program, residuals, inputs)

    def _from_program(self, program: LinearProgram, residuals: list[Tensor], inputs: list[Tensor]) -> Prepared:
        owned = {tensor.untyped_storage().data_ptr() for tensor in inputs}
        size = tensor_bytes(r for r in residuals if r.untyped_storage().data_ptr() not in owned)
        return Prepared(lambda v: program.apply(v, residuals), size)

    def _reuse(self, program: LinearProgram, inputs: list[Tensor], batch: Any) -> list[Tensor] | None:
        """Residuals of a traced program at other inputs, or None if the trace does not hold there."""
        try:
            with self.context():
                value, residuals = program.at(inputs)
        except (RuntimeError, IndexError):
            return None
        with torch.no_grad():
            expected = self.objective.loss(self._at() | self._held_fixed(), batch)
        # a trace has frozen whatever the model computed in Python from the values of another batch
        tolerance = 10 * torch.finfo(expected.dtype).eps ** 0.75
        return residuals if torch.allclose(value, expected, rtol=tolerance, atol=tolerance) else None

    def _multiply(self, prepared: Prepared, rows: Tensor) -> Tensor:
        if len(rows) == 1:
            return prepared.apply(rows[0])[None]
        if not prepared.vectorised:
            return self._loop(prepared, rows)
        if self.block == "auto" and len(rows) > 1:
            self.block = self._faster_block(prepared, rows)
        return self._vmap(prepared, rows) if self.block == "vmap" else self._loop(prepared, rows)

    def _loop(self, prepared: Prepared, rows: Tensor) -> Tensor:
        return torch.stack([prepared.apply(row) for row in rows])

    def _vmap(self, prepared: Prepared, rows: Tensor) -> Tensor:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*batching rule.*")
            return torch.vmap(prepared.apply, chunk_size=self.settings.chunk_size)(rows)

    def _faster_block(self, prepared: Prepared, rows: Tensor) -> Block:
        """Loop or vmap, whichever takes less per vector: two vectors against a chunk of the block."""
        prepared.apply(rows[0])
        start = self._clock()
        prepared.apply(rows[0])
        prepared.apply(rows[1])
        looped = (self._clock() - start) / 2
        chunk = rows[: min(len(rows), self.settings.chunk_size or 8)]
        try:
            self._vmap(prepared, chunk)
            start = self._clock()
            self._vmap(prepared, chunk)
        except (RuntimeError, NotImplementedError):
            return "loop"
        return "vmap" if (self._clock() - start) / len(chunk) < looped else "loop"

    def validate(self, batch: Any, index: int) -> None:
        """Raise unless the loss of a batch is a finite scalar, within `context`."""
        with torch.no_grad(), explain_failure(self.strategy):
            value = self.objective.loss(self._at() | self._held_fixed(), batch)
        if not isinstance(value, Tensor):
            raise TypeError(f"loss must return a tensor, got {type(value).__name__}")
        if value.ndim > 0:
            raise ValueError(f"loss must be a scalar (a mean over the examples), got shape {tuple(value.shape)}")
        if not value.is_floating_point():
            raise TypeError(f"loss must be real floating point, got {value.dtype}")
        if not bool(value.isfinite()):
            raise ValueError(f"loss must be finite, got {float(value)} on batch {index}")


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


__all__ = ["Engine", "Kind", "Settings", "Strategy"]
