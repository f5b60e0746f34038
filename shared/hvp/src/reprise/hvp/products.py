"""Curvature products of one batch: the ways to differentiate twice.

Costs are in gradients (one forward and one backward pass).

===================== ==== =========================================================================================
forward over reverse   4   tangent of the gradient; in `linearize` traced once, then 2 per product
reverse over reverse   3   gradient of gᵀv with the graph of g; kept and reused (`retained`) 1.7 to 2.5
finite difference      2   two gradients; approximate
sandwich              8/3  Jᵀ S J v by one forward-mode and one reverse-mode pass; traced once, 4/3 per product
===================== ==== =========================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from .objective import Tensors
from .squared_error import PlainSquaredError

Function = Callable[[Tensors], Any]
Linear = Callable[[Tensors], Tensors]


def forward_over_reverse(loss: Function, params: Tensors, tangent: Tensors) -> tuple[Tensor, Tensors]:
    """Value and Hessian product as the forward-mode derivative of the gradient.

    Parameters
    ----------
    loss : callable
        Of a dict of tensors; returns a scalar.
    params, tangent : dict of str to Tensor
        Where, and along which direction.

    Returns
    -------
    value : Tensor, shape ()
    product : dict of str to Tensor
    """
    with PlainSquaredError():
        (_, value), (product, _) = push(torch.func.grad_and_value(loss), params, tangent)
    return value, product


def retained(loss: Function, params: Tensors) -> tuple[Tensor, Linear]:
    """Value and Hessian product with the graph of the gradient kept: g = ∇f once, then ∇(gᵀv) per product."""
    leaves = _leaves(params)
    with torch.enable_grad():
        value = loss(leaves)
        # with a weight that requires a gradient, kernels without a second derivative leave a mark instead of a constant
        gradient = _gradient(value, leaves, weights=torch.ones_like(value).requires_grad_(), create_graph=True)
        _refuse_marks(gradient)
    return value.detach(), lambda tangent: _gradient_of(gradient, leaves, tangent)


def finite_difference(loss: Function, params: Tensors, tangent: Tensors) -> Tensors:
    """Approximate Hessian product (∇f(θ+hv) − ∇f(θ−hv))/2h with h = ε^{1/3}·(1+‖θ‖)/‖v‖."""
    epsilon = max(torch.finfo(p.dtype).eps for p in params.values())
    size = float(torch.stack([p.norm() for p in params.values()]).norm())
    length = float(torch.stack([v.norm() for v in tangent.values()]).norm())
    if length == 0.0:
        return {name: torch.zeros_like(v) for name, v in tangent.items()}
    step = epsilon ** (1 / 3) * (1 + size) / length

    def gradient(sign: float) -> Tensors:
        leaves = _leaves({name: p + sign * step * tangent[name] for name, p in params.items()})
        with torch.enable_grad():
            return _gradient(loss(leaves), leaves)

    ahead, behind = gradient(1.0), gradient(-1.0)
    wide = {name: torch.promote_types(p.dtype, torch.float32) for name, p in params.items()}
    return {name: (ahead[name].to(wide[name]) - behind[name].to(wide[name])) / (2 * step) for name in params}


def sandwich(
    output: Function, head: Callable[[Any], Tensor], params: Tensors, tangent: Tensors
) -> tuple[Tensor, Tensors]:
    """Value and product Jᵀ S J v with J the Jacobian of `output` and S the Hessian of `head` (Schraudolph 2002).

    Parameters
    ----------
    output : callable
        Of a dict of tensors; returns a tensor or a tree of tensors.
    head : callable
        Of that output; returns a scalar.
    params, tangent : dict of str to Tensor
        Where, and along which direction.

    Returns
    -------
    value : Tensor, shape ()
    product : dict of str to Tensor
    """
    with PlainSquaredError():
        pulled: Any = torch.func.vjp(output, params)
        answer, pull_back = pulled
        pushed = push(output, params, tangent)[1]
        (_, value), (curved, _) = push(torch.func.grad_and_value(head), answer, pushed)
        return value, pull_back(curved)[0]


def retained_sandwich(output: Function, head: Callable[[Any], Tensor], params: Tensors) -> tuple[Tensor, Linear]:
    """Value and product Jᵀ S J v by reverse mode alone, graphs kept; Jv as the derivative of Jᵀu by u."""
    leaves = _leaves(params)
    with torch.enable_grad():
        answer = output(leaves)
        if not isinstance(answer, Tensor):
            raise TypeError(f'model must return a tensor for strategy "retained", got {type(answer).__name__}')
        dummy = torch.zeros_like(answer, requires_grad=True)
        pulled = _gradient(answer, leaves, weights=dummy, create_graph=True)
        detached = answer.detach().requires_grad_()
        value = head(detached)
        slope = torch.autograd.grad(value, detached, create_graph=True)[0]

    def apply(tangent: Tensors) -> Tensors:
        pushed = _gradient_of(pulled, {"dummy": dummy}, tangent)["dummy"]
        curved = _gradient_of({"slope": slope}, {"slope": detached}, {"slope": pushed})["slope"]
        return _gradient(answer, leaves, weights=curved, retain_graph=True)

    return value.detach(), apply


def push(function: Callable[[Any], Any], point: Any, direction: Any) -> tuple[Any, Any]:
    """Value and derivative of a function along a direction, by forward mode."""
    found = torch.func.jvp(function, (point,), (direction,))
    return found[0], found[1]


def _refuse_marks(gradient: Tensors) -> None:
    """Raise if the graph of the gradient holds a kernel that was marked as differentiable only once."""
    waiting: list[Any] = [part.grad_fn for part in gradient.values() if part.grad_fn is not None]
    seen: set[Any] = set()
    while waiting:
        node = waiting.pop()
        if node in seen:
            continue
        seen.add(node)
        if "Error" in node.name():
            raise RuntimeError("trying to differentiate twice a function that was marked with @once_differentiable")
        waiting += [following for following, _ in node.next_functions if following is not None]


def _leaves(params: Tensors) -> Tensors:
    return {name: p.detach().requires_grad_() for name, p in params.items()}


def _gradient(
    value: Tensor,
    leaves: Tensors,
    *,
    weights: Tensor | None = None,
    create_graph: bool = False,
    retain_graph: bool | None = None,
) -> Tensors:
    if not value.requires_grad:
        return {name: torch.zeros_like(p) for name, p in leaves.items()}
    parts = torch.autograd.grad(
        value,
        list(leaves.values()),
        grad_outputs=weights,
        create_graph=create_graph,
        retain_graph=retain_graph,
        materialize_grads=True,
    )
    return dict(zip(leaves, parts))


def _gradient_of(gradient: Tensors, leaves: Tensors, tangent: Mapping[str, Tensor]) -> Tensors:
    """∇(Σ gᵀv) for the part of the gradient that depends on the leaves."""
    live = [name for name, part in gradient.items() if part.requires_grad]
    if not live:
        return {name: torch.zeros_like(p) for name, p in leaves.items()}
    parts = torch.autograd.grad(
        [gradient[name] for name in live],
        list(leaves.values()),
        grad_outputs=[tangent[name] for name in live],
        retain_graph=True,
        materialize_grads=True,
    )
    # the zeros that stand in for a parameter without a part require a gradient in torch 2.9
    return {name: part.detach() for name, part in zip(leaves, parts)}
