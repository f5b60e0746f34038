"""The Hessian of a model's mean loss, or of any differentiable function, as an operator."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from .linear import SymmetricOperator
from .parameters import ParameterSpace, Selection

Function = Callable[[dict[str, Tensor]], Tensor]


class Hessian(SymmetricOperator):
    """H = ∇²f of the mean loss f(θ) = mean over the data of loss(model(x; θ), y).

    Parameters
    ----------
    model : Module
    loss : callable ``(output, target) -> scalar``, a mean over the examples
    data : iterable of ``(inputs, targets)``
    parameters : Selection, optional
        Which parameters to differentiate; all that require a gradient by default.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Callable[[Any, Any], Tensor],
        data: Iterable[tuple[Any, Any]],
        *,
        parameters: Selection = None,
    ) -> None:
        trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
        batches = list(data)
        if not batches:
            raise ValueError("data must hold at least one batch, got none")
        total = sum(len(target) for _, target in batches)

        def objective(inputs: Any, target: Any) -> Function:
            return lambda tree: loss(torch.func.functional_call(model, tree, (inputs,)), target) * (len(target) / total)

        self._start([objective(*batch) for batch in batches], ParameterSpace(trainable).select(parameters, model))

    @classmethod
    def of(cls, f: Callable[..., Tensor], params: Tensor | Mapping[str, Tensor]) -> Hessian:
        """The Hessian of any scalar function at `params`.

        Parameters
        ----------
        f : callable
            Of a dict of tensors when `params` is a dict, of a tensor when it is a tensor; returns a scalar.
        params : Tensor or dict of str to Tensor

        Examples
        --------
        >>> import torch
        >>> H = Hessian.of(lambda x: (x**4).sum() / 12, torch.tensor([1.0, 2.0]))
        >>> (H @ torch.ones(2)).tolist()
        [1.0, 4.0]
        """
        operator = cls.__new__(cls)
        if isinstance(params, Tensor):
            operator._start([lambda tree: f(tree["x"])], ParameterSpace({"x": params}))
        else:
            operator._start([f], ParameterSpace(dict(params)))
        return operator

    def _start(self, functions: list[Function], space: ParameterSpace) -> None:
        SymmetricOperator.__init__(self, space.size, space.dtype, space.device, space)
        self.functions = functions

    def apply(self, rows: Tensor) -> Tensor:
        """Products with the rows of a block, (K, P) to (K, P)."""
        assert self.space is not None
        leaves = {name: p.detach().requires_grad_() for name, p in self.space.tensors.items()}
        result = torch.zeros_like(rows)
        with torch.enable_grad():
            for function in self.functions:
                gradient = torch.autograd.grad(
                    function(leaves), list(leaves.values()), create_graph=True, materialize_grads=True
                )
                for k, row in enumerate(rows):
                    inner = sum((g * v).sum() for g, v in zip(gradient, self.space.unflatten(row).values()))
                    if inner.requires_grad:  # type: ignore[union-attr]
                        parts = torch.autograd.grad(
                            inner,
                            list(leaves.values()),
                            retain_graph=True,
                            materialize_grads=True,  # type: ignore[arg-type]
                        )
                        result[k] += self.space.flatten(dict(zip(leaves, parts)))
        return result
