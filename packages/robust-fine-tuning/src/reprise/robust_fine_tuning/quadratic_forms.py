"""vᵀH⁺v for the diagonal block H of every layer: by Lanczos, by the Gauss-Newton matrix, by eigendecomposition."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from reprise.hvp import CurvatureOperator, GaussNewton, Hessian, per_example_quadratic, quadratic_positive
from reprise.hvp.contexts import differentiable

Method = Literal["lanczos", "ggn", "exact"]
Criterion = Callable[[Tensor, Tensor], Tensor]
LARGEST_EXACT = 2048  # weights of a layer: its block then takes 32 MB
LANCZOS_NUMBERS = 2**26  # kept at once: 256 MB


def example_forms(
    model: nn.Module, loss: Criterion, data: list[Any], moved: Mapping[str, Tensor], method: Method, steps: int
) -> tuple[Tensor, Tensor]:
    """Values and error estimates (N, L) of all examples.

    Parameters
    ----------
    model : Module
    loss : callable
        A mean over examples.
    data : list of batches ``(inputs, labels)``
    moved : mapping of str to Tensor
        v of every layer, flat.
    method : "lanczos", "ggn" or "exact"
    steps : int
        Of Lanczos.
    """
    if method == "exact":
        singles = [(_row(inputs, i), labels[i : i + 1]) for inputs, labels in data for i in range(len(labels))]
        return batch_forms(model, loss, singles, moved, method, steps)
    if method == "ggn" and loss is nn.functional.cross_entropy:
        values = torch.cat([softmax_forms(model, inputs, moved) for inputs, _ in data])
        return values, torch.zeros_like(values)
    whole = _operator(GaussNewton if method == "ggn" else Hessian, model, loss, data, moved)
    columns = [
        per_example_quadratic(
            whole.block(_only(name)),
            v.to(whole.dtype),  # products are of full precision where weights are of half
            positive=method == "lanczos",
            steps=steps,
            # Lanczos keeps `steps` vectors of each example
            chunk_size=max(4, min(512, LANCZOS_NUMBERS // (min(steps, v.numel()) * v.numel()))),
            changes=True,
        )
        for name, v in moved.items()
    ]
    values, errors = (torch.stack(column, dim=1) for column in zip(*columns))
    return values, errors


def softmax_forms(model: nn.Module, inputs: Any, moved: Mapping[str, Tensor]) -> Tensor:
    """vᵀG v (B, L) of the Gauss-Newton matrix of the cross-entropy, for all examples of a batch.

    Notes
    -----
    With t = J_i v_i, by one forward-mode pass per layer, and p the softmax of the logits: ``Σ_c p_c (t_c − t̄)²`` with
    ``t̄ = Σ_c p_c t_c``, which is ``tᵀ(diag(p) − ppᵀ)t``.
    """
    weights = dict(model.named_parameters())
    arguments = inputs if isinstance(inputs, tuple) else (inputs,)
    columns = []
    with differentiable(model, next(iter(weights.values())).device), torch.no_grad():
        for name, v in moved.items():
            weight = weights[name].detach()

            def logits(value: Tensor, name: str = name) -> Tensor:
                return torch.func.functional_call(model, {name: value}, arguments)  # type: ignore[no-any-return]

            found = torch.func.jvp(logits, (weight,), (v.view_as(weight),))
            p, t = found[0].softmax(1), found[1]
            columns.append((p * (t - (p * t).sum(1, keepdim=True)).square()).sum(1))
    return torch.stack(columns, dim=1)


def batch_forms(
    model: nn.Module, loss: Criterion, data: list[Any], moved: Mapping[str, Tensor], method: Method, steps: int
) -> tuple[Tensor, Tensor]:
    """Values and error estimates (number of batches, L), with H the Hessian of a batch's mean loss.

    The Gauss-Newton form is linear in the matrix: a batch's value is the mean of its examples' values, which
    `example_forms` gives for many batches at once.
    """
    if method == "exact":
        large = [name for name, v in moved.items() if v.numel() > LARGEST_EXACT]
        if large:
            raise ValueError(
                f"method 'exact' needs layers of at most {LARGEST_EXACT} weights, but {large[0]} has "
                f"{moved[large[0]].numel()}: use 'lanczos', or leave it out by layers="
            )
    rows = []
    for batch in data:
        whole = _operator(Hessian, model, loss, [batch], moved)
        rows.append([_positive_form(whole.block(_only(name)), v, method, steps) for name, v in moved.items()])
    found = torch.tensor(rows, dtype=torch.float64)
    return found[..., 0], found[..., 1]


def _positive_form(block: CurvatureOperator, v: Tensor, method: Method, steps: int) -> tuple[float, float]:
    if method == "lanczos":
        estimate = quadratic_positive(block, v, steps=steps)
        return estimate.value, estimate.stderr
    dense = block.dense().double()
    # float32 eigh of such blocks can fail to converge; the product is symmetric up to rounding only
    values, vectors = torch.linalg.eigh((dense + dense.mT) / 2)
    return float((vectors.mT @ v.double()).square() @ values.clamp_min(0)), 0.0


def _operator(
    kind: type[CurvatureOperator], model: nn.Module, loss: Criterion, data: list[Any], moved: Mapping[str, Tensor]
) -> CurvatureOperator:
    # A named strategy: which of two is faster would be decided by the clock, and the last digits with it.
    return kind(
        model,
        loss,
        data,
        parameters=lambda name, _: name in moved,
        strategy="forward-over-reverse",
        block="vmap",
        chunk_size=64,
        check=False,
    )


def _only(wanted: str) -> Callable[[str, Tensor], bool]:
    return lambda name, _: name == wanted


def _row(inputs: Any, i: int) -> Any:
    return tuple(part[i : i + 1] for part in inputs) if isinstance(inputs, tuple) else inputs[i : i + 1]
