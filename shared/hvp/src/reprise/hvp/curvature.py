"""A curvature matrix of a model's mean loss over data, as an operator: what its kinds have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor, nn

from .contexts import BatchNorm, refuse_dropout
from .data import Batches, Resident, default_budget
from .distributed import Group, require_everywhere, resolve_group
from .engine import Engine
from .kinds import Kind
from .linear import SymmetricOperator
from .objective import Loss, ModelObjective, Objective, Weight
from .parameters import ParameterSpace, Selection, select_names
from .settings import Block, Settings, Strategy
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
        Most vectors at once under vmap; all by default, 8 on a CPU where the choice is timed.
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
