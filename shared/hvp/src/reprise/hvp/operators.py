"""Curvature matrices of a model's loss over data, as operators: Hessian, Gauss-Newton, empirical Fisher."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor, nn

from .contexts import BatchNorm, refuse_dropout, validate_batch_norm
from .data import Batches, Resident, default_budget
from .distributed import Group, require_everywhere, resolve_group
from .engine import Block, Engine, Kind, Settings, Strategy
from .kinds import Generalised, Outer, Second
from .linear import SymmetricOperator
from .objective import FunctionObjective, Loss, ModelObjective, Objective, Weight
from .parameters import ParameterSpace, Selection, select_names
from .validity import check_operator


class CurvatureOperator(SymmetricOperator):
    """A curvature matrix of f(θ) = mean over the data of loss(model(x; θ), y).

    Parameters
    ----------
    model : Module
        Any torch model. Parameters that it ties count once.
    loss : callable ``(output, target) -> scalar``, or None
        A mean over the examples of a batch; None when ``model(batch)`` returns the loss or an object with `.loss`.
    data : iterable of batches
        ``(inputs, target)``, dicts of keywords for the model, or objects with `y`. Batches count by their number of
        examples, or by `weight`.
    parameters : None, str, Module, callable, or iterable of str and Module
        Which parameters to differentiate: all that require a gradient by default; a name, a pattern (``"*.weight"``),
        the name of a module, a module, a predicate ``(name, parameter) -> bool``, or several.
    weight : callable ``(batch) -> float``, optional
        What the loss of a batch is a mean of, where it isn't the number of examples (tokens that are not padding).
    strategy : str
        ``"auto"`` times ``"linearize"`` and ``"retained"`` on the first batch; also ``"forward-over-reverse"`` and
        ``"reverse-over-reverse"``, which keep nothing, and ``"finite-difference"``, which is approximate.
    device : torch.device or str, optional
        Where the model is, and the data is moved to; that of the parameters by default.
    batch_norm : "eval" or "batch"
        Normalise with running statistics, or with the batch's own without writing the buffers.
    check : bool
        Verify on the first batch that the loss is repeatable and the products linear and symmetric.
    resident : bool or "auto"
        Keep batches and what their products share in memory: always, never, or as far as `memory_budget` goes.
    memory_budget : int, optional
        Bytes; half of what is free by default.
    process_group : ProcessGroup or "world", optional
        Average over the data of all processes of the group, each of which holds its own shard.
    block : "auto", "loop" or "vmap"
        How a block of vectors is multiplied; timed at the first block by default.
    chunk_size : int, optional
        Most vectors at once under vmap.
    compile : bool or str
        Compile the linearised product with `torch.compile`; a string is its mode (``"reduce-overhead"``).
    freeze_randomness : bool
        Draw the same noise at every pass instead of refusing dropout.
    allow_tf32 : bool
        Leave TensorFloat-32 as it is set; off within products by default.

    Raises
    ------
    ValueError, TypeError
        For a loss that is not a finite scalar, empty data, a selection that matches nothing or names a frozen
        parameter, a model that draws noise, a kernel without second derivatives, and malformed arguments.

    Notes
    -----
    The products see later changes of the parameters: what was computed at earlier values is dropped. (Writing through
    ``parameter.data.add_`` leaves no trace; call `refresh` after it.)
    """

    _kind: ClassVar[Kind]

    def __init__(
        self,
        model: nn.Module,
        loss: Loss | None,
        data: Iterable[Any],
        *,
        parameters: Selection = None,
        weight: Weight | None = None,
        strategy: Strategy = "auto",
        device: torch.device | str | None = None,
        batch_norm: BatchNorm = "eval",
        check: bool = True,
        resident: Resident = "auto",
        memory_budget: int | None = None,
        process_group: Group = None,
        block: Block = "auto",
        chunk_size: int | None = None,
        compile: bool | str = False,
        freeze_randomness: bool = False,
        allow_tf32: bool = False,
    ) -> None:
        group = resolve_group(process_group)
        failure: Exception | None = None
        size, place = 0, torch.device("cpu")
        try:
            objective = ModelObjective(model, loss, weight, seed=0 if freeze_randomness else None)
            validate_batch_norm(batch_norm)
            if not freeze_randomness:
                refuse_dropout(model)
            space = _select(model, objective, parameters)
            size, place = space.size, space.device
            if device is not None and torch.empty((), device=device).device != place:
                raise ValueError(f"device must be where the model is ({place}), got {device}: move the model first")
            settings = Settings(
                strategy=strategy,
                resident=resident,
                memory_budget=default_budget(place) if memory_budget is None else memory_budget,
                block=block,
                chunk_size=chunk_size,
                compile=compile,
                batch_norm=batch_norm,
                freeze_randomness=freeze_randomness,
                allow_tf32=allow_tf32,
                process_group=group,
            )
            batches = Batches(data, place, resident=resident, budget=settings.memory_budget)
            self._start(Engine(self._kind, objective, space, batches, settings))
            if check:
                check_operator(self._engine)
        except (ValueError, TypeError) as error:
            failure = error
        require_everywhere(failure, size, group, place)

    def _start(self, engine: Engine) -> None:
        space = engine.space
        SymmetricOperator.__init__(self, space.size, space.dtype, space.device, space)
        self._engine = engine

    @property
    def strategy(self) -> Strategy:
        """How products are formed; "auto" until the first one."""
        return self._engine.strategy

    @property
    def approximate(self) -> bool:
        """Whether products come from finite differences."""
        return self._engine.strategy == "finite-difference"

    def apply(self, rows: Tensor) -> Tensor:
        """Products with the rows of a block, (K, P) to (K, P)."""
        return self._engine.apply(rows)

    def refresh(self) -> None:
        """Drop what was computed at earlier values of the parameters."""
        self._engine.forget()

    def value(self, displacement: Tensor | None = None) -> float:
        """Mean loss f(θ), or f(θ + displacement) for a displacement (P,)."""
        return self._engine.value(displacement)

    def gradient(self) -> Tensor:
        """Gradient of the mean loss, shape (P,)."""
        return self._engine.gradient()

    def block(self, selection: Selection) -> Self:
        """The diagonal block of some parameters: the others are held fixed and their rows never computed.

        Parameters
        ----------
        selection : str, Module, callable, or iterable
            As `parameters` of the operator.

        Returns
        -------
        CurvatureOperator of the same kind, on fewer parameters
        """
        engine = self._engine
        part = type(self).__new__(type(self))
        space = engine.space.select(selection, engine.objective.model)
        part._start(Engine(engine.kind, engine.objective, space, engine.batches, engine.settings))
        return part

    def blocks(self, by: Literal["module", "parameter"] = "module") -> dict[str, Self]:
        """The diagonal blocks of all layers, by the name of the module that owns the parameters, or by parameter."""
        if by not in ("module", "parameter"):
            raise ValueError(f"by must be 'module' or 'parameter', got {by!r}")
        space = self._engine.space
        groups = space.layers() if by == "module" else {name: [name] for name in space.names}
        return {layer: self.block(_among(names)) for layer, names in groups.items()}


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

    J is the Jacobian of the model's output and S the Hessian of the loss in the output: diag(p) − ppᵀ for cross-entropy,
    2I/outputs for the mean squared error. It is positive semi-definite for a convex loss.

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


def _select(model: nn.Module, objective: Objective, parameters: Selection) -> ParameterSpace:
    if parameters is None:
        if not objective.trainable:
            raise ValueError("parameters: the model has none that requires a gradient")
        return ParameterSpace(objective.trainable)
    everything = dict(model.named_parameters())
    chosen = select_names(everything, parameters, model)
    frozen = [name for name in chosen if not everything[name].requires_grad]
    if frozen:
        raise ValueError(f"parameters: {', '.join(frozen[:5])} requires no gradient; call requires_grad_() on it")
    return ParameterSpace({name: everything[name] for name in chosen})


def _among(names: list[str]) -> Callable[[str, Tensor], bool]:
    chosen = set(names)
    return lambda name, _: name in chosen
