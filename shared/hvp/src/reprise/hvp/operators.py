"""The curvature operators: Hessian, generalised Gauss-Newton matrix, empirical Fisher matrix."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

from torch import Tensor

from .curvature import CurvatureOperator
from .data import Batches
from .distributed import Group, resolve_group
from .engine import Engine
from .kinds import Generalised, Kind, Outer, Second
from .objective import FunctionObjective
from .parameters import ParameterSpace, Selection
from .settings import Block, Settings, Strategy
from .validity import check_operator


class Hessian(CurvatureOperator):
    """The Hessian ∇²f(θ) of a mean loss; see `CurvatureOperator` for the parameters.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> model = nn.Linear(2, 1, bias=False)
    >>> data = [(torch.eye(2), torch.zeros(2, 1))]
    >>> H = Hessian(model, nn.functional.mse_loss, data)
    >>> H.dense().tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """

    _kind: ClassVar[Kind] = Second()

    @classmethod
    def of(
        cls,
        f: Callable[..., Tensor],
        params: Tensor | Mapping[str, Tensor],
        *,
        parameters: Selection = None,
        strategy: Strategy = "auto",
        check: bool = True,
        block: Block = "auto",
        chunk_size: int | None = None,
        compile: bool | str = False,
        process_group: Group = None,
    ) -> Hessian:
        """The Hessian of any scalar function at `params`: no model needed.

        Parameters
        ----------
        f : callable
            Of a dict of tensors when `params` is a dict, of a tensor when it is a tensor; returns a scalar.
        params : Tensor or dict of str to Tensor
            Where; they need not require a gradient.
        parameters : Selection, optional
            Which of `params` to differentiate; all by default.
        strategy, check, block, chunk_size, compile, process_group
            As for `CurvatureOperator`.

        Returns
        -------
        Hessian

        Raises
        ------
        ValueError, TypeError
            As for `CurvatureOperator`.

        Examples
        --------
        >>> import torch
        >>> H = Hessian.of(lambda x: (x**4).sum() / 12, torch.tensor([1.0, 2.0]))
        >>> (H @ torch.ones(2)).tolist()
        [1.0, 4.0]
        """
        objective = FunctionObjective(f, params)
        space = ParameterSpace(objective.trainable).select(parameters)
        settings = Settings(
            strategy=strategy,
            resident=True,
            block=block,
            chunk_size=chunk_size,
            compile=compile,
            process_group=resolve_group(process_group),
        )
        operator = cls.__new__(cls)
        batches = Batches([()], space.device, resident=True, budget=settings.memory_budget)
        operator._start(Engine(cls._kind, objective, space, batches, settings))
        if check:
            check_operator(operator._engine)
        return operator


class GaussNewton(CurvatureOperator):
    """The generalised Gauss-Newton matrix Jᵀ S J of a mean loss; see `CurvatureOperator` for the parameters.

    J is the Jacobian of the model's output and S the Hessian of the loss in the output: diag(p) − ppᵀ for
    cross-entropy, 2I/outputs for the mean squared error. It is positive semi-definite for a convex loss.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> data = [(torch.eye(2), torch.zeros(2, 1))]
    >>> GaussNewton(nn.Linear(2, 1, bias=False), nn.functional.mse_loss, data).dense().tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """

    _kind: ClassVar[Kind] = Generalised()


class EmpiricalFisher(CurvatureOperator):
    """The matrix (1/N) Σ_n g_n g_nᵀ of the examples' gradients; see `CurvatureOperator` for the parameters.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> data = [(torch.eye(2), torch.ones(2, 1))]
    >>> model = nn.Linear(2, 1, bias=False)
    >>> nn.init.zeros_(model.weight).shape
    torch.Size([1, 2])
    >>> EmpiricalFisher(model, nn.functional.mse_loss, data).dense().tolist()
    [[2.0, 0.0], [0.0, 2.0]]
    """

    _kind: ClassVar[Kind] = Outer()
