"""vᵀH⁺v for the diagonal block H of every layer: by Lanczos, by the Gauss-Newton matrix, by eigendecomposition."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from reprise.hvp import CurvatureOperator, GaussNewton, Hessian, per_example_quadratic, quadratic_positive

Method = Literal["lanczos", "ggn", "exact"]
Criterion = Callable[[Tensor, Tensor], Tensor]
LARGEST_EXACT = 2048  # weights of a layer: its block then takes 32 MB


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
    whole = _operator(GaussNewton if method == "ggn" else Hessian, model, loss, data, moved)
    columns = [
        per_example_quadratic(whole.block(_only(name)), v, positive=method == "lanczos", steps=steps, changes=True)
        for name, v in moved.items()
    ]
    values, errors = zip(*columns)
    return torch.stack(values, dim=1), torch.stack(errors, dim=1)


def batch_forms(
    model: nn.Module, loss: Criterion, data: list[Any], moved: Mapping[str, Tensor], method: Method, steps: int
) -> tuple[Tensor, Tensor]:
    """Values and error estimates (number of batches, L), with H the Hessian of a batch's mean loss."""
    if method == "ggn":
        # The form is linear in the matrix: the batch's value is the mean of its examples' values.
        values, _ = example_forms(model, loss, data, moved, method, steps)
        sizes = [len(labels) for _, labels in data]
        return torch.stack([part.mean(0) for part in torch.split(values, sizes)]), torch.zeros(
            len(sizes), values.shape[1]
        )
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
