"""Kinds of curvature: how the product of one batch is formed from an objective."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from torch import Tensor

from .objective import Objective, Tensors
from .products import finite_difference, forward_over_reverse, retained, retained_sandwich, sandwich

Linear = Callable[[Tensors], Tensors]


class Kind(Protocol):
    """A kind of curvature: how one batch's product is formed."""

    def product(
        self, objective: Objective, batch: Any, fixed: Tensors, at: Tensors, tangent: Tensors
    ) -> tuple[Tensor, Tensors]:
        """Value and product in one go."""

    def retain(self, objective: Objective, batch: Any, fixed: Tensors, at: Tensors) -> tuple[Tensor, Linear]:
        """Value and product with graphs kept."""

    def difference(self, objective: Objective, batch: Any, fixed: Tensors, at: Tensors, tangent: Tensors) -> Tensors:
        """Product by finite differences."""


class Second:
    """The Hessian ∇²f."""

    def product(
        self, objective: Objective, batch: Any, fixed: Tensors, at: Tensors, tangent: Tensors
    ) -> tuple[Tensor, Tensors]:
        """Value and product in one go."""
        return forward_over_reverse(_loss(objective, batch, fixed), at, tangent)

    def retain(self, objective: Objective, batch: Any, fixed: Tensors, at: Tensors) -> tuple[Tensor, Linear]:
        """Value and product with the graph of the gradient kept."""
        return retained(_loss(objective, batch, fixed), at)

    def difference(self, objective: Objective, batch: Any, fixed: Tensors, at: Tensors, tangent: Tensors) -> Tensors:
        """Product by finite differences of the gradient."""
        return finite_difference(_loss(objective, batch, fixed), at, tangent)


class Sandwich:
    """Jᵀ S J: the Jacobian of an output around the Hessian of a convex function of it."""

    def parts(
        self, objective: Objective, batch: Any, fixed: Tensors
    ) -> tuple[Callable[[Tensors], Any], Callable[[Any], Tensor]]:
        """The output as a function of the parameters, and the function of the output."""
        raise TypeError(f"{type(self).__name__} defines no parts")

    def product(
        self, objective: Objective, batch: Any, fixed: Tensors, at: Tensors, tangent: Tensors
    ) -> tuple[Tensor, Tensors]:
        """Product in one go, and the value of the loss."""
        value, result = sandwich(*self.parts(objective, batch, fixed), at, tangent)
        return value, result

    def retain(self, objective: Objective, batch: Any, fixed: Tensors, at: Tensors) -> tuple[Tensor, Linear]:
        """Product with graphs kept, and the value of the loss."""
        return retained_sandwich(*self.parts(objective, batch, fixed), at)

    def difference(self, objective: Objective, batch: Any, fixed: Tensors, at: Tensors, tangent: Tensors) -> Tensors:
        """Refused: a sandwich needs first derivatives only, which every model has."""
        raise ValueError(
            'strategy "finite-difference" is for the Hessian; the other strategies need no second derivatives'
        )


class Generalised(Sandwich):
    """The generalised Gauss-Newton matrix: the model's output around the Hessian of the loss."""

    def parts(
        self, objective: Objective, batch: Any, fixed: Tensors
    ) -> tuple[Callable[[Tensors], Any], Callable[[Any], Tensor]]:
        """The model's output, and the loss of it."""
        return (
            lambda params: objective.output(params | fixed, batch),
            lambda output: objective.loss_of(output, batch),
        )


class Outer(Sandwich):
    """The empirical Fisher matrix (1/N) Σ_n g_n g_nᵀ: the examples' losses around the Hessian of half their square."""

    def parts(
        self, objective: Objective, batch: Any, fixed: Tensors
    ) -> tuple[Callable[[Tensors], Any], Callable[[Any], Tensor]]:
        """The loss of every example, and half the mean of their squares."""

        def losses(params: Tensors) -> Tensor:
            return objective.example_losses(objective.output(params | fixed, batch), batch)

        return losses, lambda values: (values**2).mean() / 2


def _loss(objective: Objective, batch: Any, fixed: Tensors) -> Callable[[Tensors], Tensor]:
    return lambda params: objective.loss(params | fixed, batch)
