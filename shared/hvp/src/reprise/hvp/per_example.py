"""Curvature of every example's loss along a direction: vᵀH_n v for all examples of a batch at once.

Along the line θ + tv the loss of example n has second derivative vᵀH_n v: two nested forward-mode passes give it for
all examples, without any backward pass and in the memory of a forward pass. For the Gauss-Newton matrix one
forward-mode pass gives t = J_n v, and (for cross-entropy with probabilities p) vᵀG_n v = Σ_c p_c t_c² − (Σ_c p_c t_c)².
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, overload

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from .curvature import CurvatureOperator
from .failures import explain_failure
from .kinds import Generalised, Second
from .objective import Tensors, target_of
from .parameters import ParameterSpace
from .positive import positive_forms
from .probes import probes, random_generator
from .products import forward_over_reverse, push
from .trace import Progress


@overload
def per_example_quadratic(
    operator: CurvatureOperator,
    vector: Tensor,
    *,
    per_layer: bool = False,
    by: Literal["module", "parameter"] = "module",
    positive: bool = False,
    steps: int = 20,
    chunk_size: int | None = None,
    changes: Literal[False] = False,
) -> Tensor: ...


@overload
def per_example_quadratic(
    operator: CurvatureOperator,
    vector: Tensor,
    *,
    per_layer: bool = False,
    by: Literal["module", "parameter"] = "module",
    positive: bool = False,
    steps: int = 20,
    chunk_size: int | None = None,
    changes: Literal[True],
) -> tuple[Tensor, Tensor]: ...


def per_example_quadratic(
    operator: CurvatureOperator,
    vector: Tensor,
    *,
    per_layer: bool = False,
    by: Literal["module", "parameter"] = "module",
    positive: bool = False,
    steps: int = 20,
    chunk_size: int | None = None,
    changes: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """vᵀH_n v for every example n, in the order of the data.

    Parameters
    ----------
    operator : Hessian or GaussNewton
        Of a model and a loss; its kind decides whether H_n is the Hessian or the Gauss-Newton matrix.
    vector : Tensor, shape (P,)
        v.
    per_layer : bool
        One value per layer, with v zero outside of it (the layer's diagonal block alone).
    by : "module" or "parameter"
        What a layer is: all parameters of one module, or each parameter.
    positive : bool
        vᵀH_n⁺v with the positive part of H_n, by Lanczos (Hessian only: the Gauss-Newton matrix has no negative part
        where the loss is convex).
    steps : int
        Lanczos steps.
    chunk_size : int, optional
        Examples at once in Lanczos, which keeps `steps` vectors (P,) for each; 64 by default.
    changes : bool
        Return two tensors: the values, and by how much the last Lanczos step changed each (the size of its error;
        zero for what is not found by Lanczos, NaN after a single step).

    Returns
    -------
    Tensor, shape (N,) or (N, L)
        Layers in the order of ``operator.space.layers()``, or of ``operator.space.names``; two of them with `changes`.

    Raises
    ------
    ValueError, TypeError
        If the operator has no model and loss, is of another kind, or runs a kernel that forward mode cannot
        differentiate twice.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from reprise.hvp import GaussNewton
    >>> data = [(torch.tensor([[1.0, 0.0], [0.0, 3.0]]), torch.zeros(2, 1))]
    >>> G = GaussNewton(nn.Linear(2, 1, bias=False), nn.functional.mse_loss, data)
    >>> per_example_quadratic(G, torch.ones(2)).tolist()
    [2.0, 18.0]
    """
    if not isinstance(operator, CurvatureOperator):
        raise TypeError(f"operator must be a Hessian or GaussNewton, got {type(operator).__name__}")
    operator._validate(vector, dims=1)
    engine = operator._engine
    if not isinstance(engine.kind, (Second, Generalised)):
        raise TypeError(f"operator must be a Hessian or GaussNewton, got {type(operator).__name__}")
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    if chunk_size is not None and chunk_size < 1:
        raise ValueError(f"chunk_size must be at least 1, got {chunk_size}")
    if by not in ("module", "parameter"):
        raise ValueError(f"by must be 'module' or 'parameter', got {by!r}")
    _require_mean(operator)
    groups = list(engine.space.layers().values()) if by == "module" else [[name] for name in engine.space.names]
    layers = groups if per_layer else [engine.space.names]
    columns = []
    for names in layers:
        space = ParameterSpace({name: engine.space.tensors[name] for name in names})
        part = torch.cat([vector[engine.space.slices[name]] for name in names])
        values = []
        for batch in engine.batches:
            with engine.context(), explain_failure(None), torch.no_grad():
                values.append(_of_batch(operator, space, batch, part, positive, steps, chunk_size or 64))
        columns.append(torch.cat(values, dim=1))
    stacked = torch.stack(columns, dim=2) if per_layer else columns[0]
    return (stacked[0], stacked[1]) if changes else stacked[0]


@dataclass(frozen=True)
class ExampleTraces:
    """Trace of every example's Hessian (N,), with standard errors (N,); the largest, and whose it is.

    `converged` is False when an accuracy was asked for and the products ran out first.
    """

    values: Tensor
    stderr: Tensor
    products: int
    converged: bool = True

    @property
    def maximum(self) -> float:
        """The largest trace."""
        return float(self.values.max())

    @property
    def argmax(self) -> int:
        """Which example has the largest trace."""
        return int(self.values.argmax())


def per_example_traces(
    operator: CurvatureOperator,
    *,
    products: int = 50,
    rtol: float | None = None,
    generator: torch.Generator | int | None = None,
    progress: Progress | None = None,
) -> ExampleTraces:
    """Hutchinson estimates of tr H_n for every example, with the same random vectors for all.

    Parameters
    ----------
    operator : Hessian or GaussNewton
        Of a model and a loss.
    products : int
        Most random vectors, each of which takes one pass over the data.
    rtol : float, optional
        Stop as soon as the largest trace has this relative standard error.
    generator : torch.Generator or int, optional
        Source of randomness or its seed; seed 0 by default.
    progress : callable ``(products, most) -> object``, optional
        Called after every product.

    Returns
    -------
    ExampleTraces

    Raises
    ------
    ValueError
        If there are fewer than two products, or `rtol` is not positive.

    Notes
    -----
    The largest of noisy values is biased upwards by about their standard error: use enough vectors that `stderr` at
    `argmax` is small.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from reprise.hvp import Hessian
    >>> data = [(torch.tensor([[1.0, 0.0], [0.0, 3.0]]), torch.zeros(2, 1))]
    >>> H = Hessian(nn.Linear(2, 1, bias=False), nn.functional.mse_loss, data)
    >>> per_example_traces(H, products=4).values.tolist()
    [2.0, 18.0]
    """
    if not isinstance(operator, CurvatureOperator):
        raise TypeError(f"operator must be a Hessian or GaussNewton, got {type(operator).__name__}")
    if products < 2:
        raise ValueError(f"products must be at least 2, got {products}")
    if rtol is not None and not rtol > 0:
        raise ValueError(f"rtol must be positive, got {rtol}")
    source = random_generator(generator, operator.device)
    samples: list[Tensor] = []
    while len(samples) < products:
        samples.append(per_example_quadratic(operator, probes(operator, 1, source)[0]).double())
        if progress is not None:
            progress(len(samples), products)
        if rtol is not None and len(samples) >= 4:
            found = _summary(samples)
            if float(found.stderr[found.argmax]) <= rtol * abs(found.maximum):
                return found
    return replace(_summary(samples), converged=rtol is None)


def _summary(samples: list[Tensor]) -> ExampleTraces:
    stacked = torch.stack(samples)
    return ExampleTraces(stacked.mean(0), stacked.std(0) / math.sqrt(len(samples)), len(samples))


def _require_mean(operator: CurvatureOperator) -> None:
    """Raise unless the first batch's loss is the mean of its examples' losses."""
    engine = operator._engine
    with engine.context():
        engine.objective.require_mean(engine.products.at() | engine.products.fixed(), engine.batches.first())


def _of_batch(
    operator: CurvatureOperator,
    space: ParameterSpace,
    batch: Any,
    vector: Tensor,
    positive: bool,
    steps: int,
    chunk_size: int,
) -> Tensor:
    """Values and their changes, shape (2, n)."""
    engine = operator._engine
    objective = engine.objective
    at: Tensors = {name: p.detach() for name, p in space.tensors.items()}
    everything = {name: p.detach() for name, p in (objective.trainable | objective.fixed).items()}
    tangent = space.unflatten(vector)

    def output(params: Tensors) -> Any:
        return objective.output(everything | params, batch)

    if positive and isinstance(engine.kind, Second):
        return _positive(operator, space, batch, vector, min(steps, space.size), chunk_size)
    if isinstance(engine.kind, Generalised):
        found = _second_along(lambda values: objective.example_losses(values, batch), *push(output, at, tangent))
    else:
        found = _second_along(lambda params: objective.example_losses(output(params), batch), at, tangent)
    return torch.stack([found, torch.zeros_like(found)])


def _second_along(function: Callable[[Any], Tensor], point: Any, direction: Any) -> Tensor:
    """d²/dt² of function(point + t·direction) at t = 0, by forward mode twice."""

    second: Tensor = push(lambda here: push(function, here, direction)[1], point, direction)[1]
    return second


def _positive(
    operator: CurvatureOperator, space: ParameterSpace, batch: Any, vector: Tensor, steps: int, chunk_size: int
) -> Tensor:
    """vᵀH_n⁺v and its change (2, N) by one Lanczos per example, all examples of a chunk at once by vmap."""
    objective = operator._engine.objective
    at: Tensors = {name: p.detach() for name, p in space.tensors.items()}
    everything = {name: p.detach() for name, p in (objective.trainable | objective.fixed).items()}
    count = len(target_of(batch))

    def product(example: Any, row: Tensor) -> Tensor:
        alone = pytree.tree_map(lambda leaf: leaf[None] if isinstance(leaf, Tensor) else leaf, example)
        _, image = forward_over_reverse(
            lambda params: objective.loss(everything | params, alone), at, space.unflatten(row)
        )
        return space.flatten(image)

    values = []
    for start in range(0, count, chunk_size):
        chunk = pytree.tree_map(
            lambda leaf, start=start: leaf[start : start + chunk_size] if isinstance(leaf, Tensor) else leaf, batch
        )
        rows = vector.expand(min(chunk_size, count - start), -1)
        apply = torch.vmap(product)
        found = positive_forms(lambda many, chunk=chunk, apply=apply: apply(chunk, many), rows, steps)  # type: ignore[misc]
        values.append(torch.stack(found[:2]))
    return torch.cat(values, dim=1).to(vector)
