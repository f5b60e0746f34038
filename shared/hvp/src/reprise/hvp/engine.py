"""Weighted means over the batches, of products, losses and gradients; what stays in memory between products."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from .batch_product import BatchProducts
from .blocks import BlockProduct, Prepared, loop
from .data import Batches
from .distributed import broadcast, sum_over
from .failures import explain_failure
from .kinds import Kind
from .objective import Objective
from .parameters import ParameterSpace
from .settings import Settings, Strategy


@dataclass
class Engine:
    """Products of one kind of curvature, as the weighted mean over batches."""

    kind: Kind
    objective: Objective
    space: ParameterSpace
    batches: Batches
    settings: Settings
    strategy: Strategy = field(init=False)

    def __post_init__(self) -> None:
        self.strategy = self.settings.strategy
        self.multiply_block = BlockProduct(self.settings.block, self.settings.chunk_size)
        self.products = BatchProducts(self.kind, self.objective, self.space, self.settings)
        self.kept: dict[int, Prepared] = {}
        self.validated: set[int] = set()
        self.fingerprint = self._fingerprint()

    def apply(self, rows: Tensor) -> Tensor:
        """Products with the rows of a block, (K, P) to (K, P)."""
        now = self._fingerprint()
        if now != self.fingerprint:
            self.forget()
            self.fingerprint = now
        group = self.settings.process_group
        rows = broadcast(rows, group)
        if self.batches.single and group is None:
            with self.context():
                return self.multiply_block(self._prepared(0, self.batches.first()), rows)
        wide = torch.float64 if rows.device.type == "cpu" else torch.promote_types(rows.dtype, torch.float32)
        total = torch.zeros(rows.shape, dtype=wide, device=rows.device)
        weights = 0.0
        for index, batch in enumerate(self.batches):
            weight = self.objective.weight(batch)
            with self.context():
                total.add_(self.multiply_block(self._prepared(index, batch), rows), alpha=weight)
            weights += weight
        total, weights = sum_over(total, weights, group)
        return (total / weights).to(rows.dtype)

    def mean(self, quantity: Callable[[Any], Tensor]) -> Tensor:
        """Weighted mean over the batches of ``quantity(batch)``."""
        total, weights = torch.zeros((), dtype=torch.float64), 0.0
        for batch in self.batches:
            weight = self.objective.weight(batch)
            with self.context():
                part = quantity(batch)
            total = total.to(part.device) + weight * part.detach().to(torch.promote_types(part.dtype, torch.float32))
            weights += weight
        total, weights = sum_over(total, weights, self.settings.process_group)
        return total / weights

    def multiply(self, index: int, batch: Any, rows: Tensor) -> Tensor:
        """Products of batch `index` alone with the rows of a block, (K, P) to (K, P), within `context`."""
        return loop(self._prepared(index, batch), rows)

    def value(self, displacement: Tensor | None = None) -> float:
        """Mean loss at θ, or at θ + displacement."""
        at = self.products.at()
        if displacement is not None:
            moved = self.space.unflatten(displacement)
            at = {name: tensor + moved[name] for name, tensor in at.items()}
        return float(self.mean(lambda batch: self.products.loss(batch, at)))

    def gradient(self) -> Tensor:
        """Gradient of the mean loss, shape (P,)."""
        leaves = {name: p.requires_grad_() for name, p in self.products.at().items()}
        tensors = leaves | self.products.fixed()

        def of_batch(batch: Any) -> Tensor:
            with torch.enable_grad():
                value = self.objective.loss(tensors, batch)
                parts = torch.autograd.grad(value, list(leaves.values()), materialize_grads=True)
            return self.space.flatten(dict(zip(leaves, parts)))

        return self.mean(of_batch).to(self.space.dtype)

    def context(self) -> AbstractContextManager[None]:
        """The state of torch for passes over the model."""
        return self.products.context()

    def forget(self) -> None:
        """Drop everything computed at the parameters' present values."""
        self.kept.clear()
        self.validated.clear()

    def validate(self, batch: Any, index: int) -> None:
        """Raise unless the loss of a batch is a finite scalar, within `context`."""
        with explain_failure(self.strategy):
            value = self.products.loss(batch)
        if not isinstance(value, Tensor):
            raise TypeError(f"loss must return a tensor, got {type(value).__name__}")
        if value.ndim > 0:
            raise ValueError(f"loss must be a scalar (a mean over the examples), got shape {tuple(value.shape)}")
        if not value.is_floating_point():
            raise TypeError(f"loss must be real floating point, got {value.dtype}")
        if not bool(value.isfinite()):
            raise ValueError(f"loss must be finite, got {float(value)} on batch {index}")
        self.validated.add(index)

    def _fingerprint(self) -> list[tuple[int, int]]:
        # an in-place update moves the version, an assignment to .data the address
        tensors = (*self.space.tensors.values(), *self.products.held.values())
        return [(t._version, t.data_ptr()) for t in tensors]

    def _prepared(self, index: int, batch: Any) -> Prepared:
        found = self.kept.get(index)
        if found is not None:
            return found
        if index not in self.validated:
            self.validate(batch, index)
        if self.strategy == "auto":
            self.strategy = self.products.fastest(batch)
        with explain_failure(self.strategy):
            found = self.products.prepare(self.strategy, batch)
        resident = self.settings.resident
        if resident == "auto":
            resident = sum(kept.size for kept in self.kept.values()) + found.size <= self.settings.memory_budget
        if resident:
            self.kept[index] = found
        return found
