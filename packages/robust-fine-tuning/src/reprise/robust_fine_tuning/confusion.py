"""Class-conditional label noise: confusion matrices, how to draw from them, and how to estimate them.

F[y, z] is the probability that a label y is seen as z: rows sum to one.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from .validation import class_labels, numpy_or_torch_generator, real_number, real_tensor, whole_number

WORST_CONDITION = 1e8
ROUNDING = 1e-2  # of a row of probabilities in half precision or bfloat16


def symmetric_confusion(k: int, rate: float) -> Tensor:
    """Confusion of symmetric noise: 1 − ρ on the diagonal, ρ/(k − 1) elsewhere.

    Parameters
    ----------
    k : int
        Number of classes, at least 2.
    rate : float
        ρ in [0, 1], but not (k − 1)/k, where labels carry no information.

    Returns
    -------
    Tensor, shape (k, k), float64

    Raises
    ------
    ValueError
        If the matrix is singular, or an argument out of range.

    Notes
    -----
    Its inverse is ``a I + b 11ᵀ`` with ``a = (k−1)/((1−ρ)(k−1) − ρ)`` and ``b = −ρ/((1−ρ)(k−1) − ρ)``. Replacing a
    share r of the labels by uniform ones (each may be drawn again) is ρ = r(k−1)/k.

    Examples
    --------
    >>> symmetric_confusion(3, 0.5).tolist()
    [[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.25, 0.25, 0.5]]
    """
    k = whole_number("k", k, minimum=2)
    rate = real_number("rate", rate, maximum=1.0)
    if abs(rate - (k - 1) / k) < 1e-8:
        raise ValueError(f"rate must not be (k-1)/k = {(k - 1) / k:.6g} with k = {k}: F is singular there, got {rate}")
    matrix = torch.full((k, k), rate / (k - 1), dtype=torch.float64)
    return matrix.fill_diagonal_(1 - rate)


def valid_confusion(name: str, value: Any) -> Tensor:
    """`value` as a confusion matrix (k, k) in float64: rows of probabilities, invertible.

    Raises
    ------
    ValueError
        If it is not square, has a row that does not sum to one within 1e-6 or a negative entry, or a condition number
        above 1e8.
    """
    matrix = real_tensor(name, value, dimensions=2).double()
    if matrix.shape[0] != matrix.shape[1] or matrix.shape[0] < 2:
        raise ValueError(f"{name} must be square with at least two classes, got shape {tuple(matrix.shape)}")
    sums = matrix.sum(1)
    worst = int((sums - 1).abs().argmax())
    if abs(float(sums[worst]) - 1) > 1e-6:
        raise ValueError(f"{name}: rows must sum to 1, but row {worst} sums to {float(sums[worst]):.8g}")
    if float(matrix.min()) < 0:
        raise ValueError(f"{name} must hold probabilities, got {float(matrix.min()):.4g}")
    condition = float(torch.linalg.cond(matrix))
    if not condition <= WORST_CONDITION:
        rate = 1 - float(matrix.diagonal().mean())
        raise ValueError(
            f"{name} must be invertible, got a condition number of {condition:.3g} (k = {len(matrix)}, mean share of "
            f"wrong labels ρ = {rate:.4g}; symmetric noise is singular at (k-1)/k = {1 - 1 / len(matrix):.4g})"
        )
    return matrix


def flip_labels(labels: Any, confusion: Any, generator: Any = None) -> Tensor:
    """Labels as class-conditional noise shows them.

    Parameters
    ----------
    labels : array of int, shape (n,)
    confusion : array, shape (k, k)
        F; rows of probabilities. It need not be invertible.
    generator : torch.Generator, numpy Generator or int, optional
        Source of randomness or its seed; seed 0 by default.

    Returns
    -------
    Tensor, shape (n,), int64

    Raises
    ------
    ValueError, TypeError
        For labels outside of 0..k−1, or rows that are no probabilities.

    Examples
    --------
    >>> flip_labels([0, 1, 1], [[0.0, 1.0], [1.0, 0.0]]).tolist()
    [1, 0, 0]
    """
    matrix = real_tensor("confusion", confusion, dimensions=2).double()
    if matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"confusion must be square, got shape {tuple(matrix.shape)}")
    if float(matrix.min()) < 0 or float((matrix.sum(1) - 1).abs().max()) > 1e-6:
        raise ValueError("confusion: rows must be probabilities that sum to 1")
    found = class_labels("labels", labels, len(matrix))
    source = numpy_or_torch_generator(generator)
    return torch.multinomial(matrix[found.cpu()], 1, generator=source).squeeze(1).to(found.device)


def replace_labels(labels: Any, rate: float, classes: int, generator: Any = None) -> Tensor:
    """Labels of which a fixed share, ⌊rate·n⌋ drawn without replacement, is replaced by uniform classes.

    A label may be replaced by itself: the share of wrong ones is about rate·(k−1)/k, as in the authors' code.

    Examples
    --------
    >>> int((replace_labels([0] * 100, 0.5, 2, 0) != 0).sum()) <= 50
    True
    """
    classes = whole_number("classes", classes, minimum=2)
    found = class_labels("labels", labels, classes).clone()
    count = int(real_number("rate", rate, maximum=1.0) * len(found))
    source = numpy_or_torch_generator(generator)
    chosen = torch.randperm(len(found), generator=source)[:count].to(found.device)
    found[chosen] = torch.randint(classes, (count,), generator=source).to(found.device)
    return found


def empirical_confusion(labels: Any, noisy: Any, classes: int) -> Tensor:
    """Share of each true class that is seen as each noisy one, (k, k); a class that does not occur is kept as it is."""
    classes = whole_number("classes", classes, minimum=2)
    true, seen = class_labels("labels", labels, classes), class_labels("noisy", noisy, classes)
    if len(true) != len(seen):
        raise ValueError(f"noisy must be as long as labels ({len(true)}), got {len(seen)}")
    counts = torch.zeros(classes, classes, dtype=torch.float64)
    counts.index_put_((true.cpu(), seen.cpu()), torch.ones(len(true), dtype=torch.float64), accumulate=True)
    absent = counts.sum(1) == 0
    counts[absent] = torch.eye(classes, dtype=torch.float64)[absent]
    return counts / counts.sum(1, keepdim=True)


def estimate_confusion(
    probabilities: Any, noisy: Any, *, method: Literal["dual-t", "anchor"] = "dual-t", quantile: float = 0.97
) -> Tensor:
    """The confusion matrix, from the predictions of a model that was trained on the noisy labels.

    Parameters
    ----------
    probabilities : array, shape (N, k)
        Softmax outputs.
    noisy : array of int, shape (N,)
        The labels that were seen.
    method : "dual-t" or "anchor"
        Dual-T (Yao et al. 2020): the anchors' matrix times the share of each predicted class that carries each noisy
        label; or the anchors' matrix alone (Patrini et al. 2017).
    quantile : float
        The anchor of class i is the example with the largest p_i below this quantile of p_i.

    Returns
    -------
    Tensor, shape (k, k), float64
        Rows sum to one.

    Raises
    ------
    ValueError, TypeError
        If the rows are no probabilities, labels are outside of 0..k−1, or lengths differ.

    Notes
    -----
    Outliers are left out class by class; the probabilities themselves are never changed, so that the order of the
    classes does not matter.

    Examples
    --------
    >>> estimate_confusion([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.1, 0.9]], [0, 0, 1, 1], quantile=1.0).shape
    torch.Size([2, 2])
    """
    if method not in ("dual-t", "anchor"):
        raise ValueError(f"method must be 'dual-t' or 'anchor', got {method!r}")
    p = real_tensor("probabilities", probabilities, dimensions=2).double().cpu()
    quantile = real_number("quantile", quantile, maximum=1.0, open_at_minimum=True)
    if len(p) == 0 or p.shape[1] < 2:
        raise ValueError(f"probabilities must have shape (N, k) with N ≥ 1 and k ≥ 2, got {tuple(p.shape)}")
    if float(p.min()) < 0 or float((p.sum(1) - 1).abs().max()) > ROUNDING:
        raise ValueError("probabilities: rows must be probabilities that sum to 1 (pass softmax outputs)")
    p = p / p.sum(1, keepdim=True)
    seen = class_labels("noisy", noisy, p.shape[1]).cpu()
    if len(seen) != len(p):
        raise ValueError(f"noisy must be as long as probabilities ({len(p)}), got {len(seen)}")
    anchors = torch.stack([p[_anchor(p[:, i], quantile)] for i in range(p.shape[1])])
    if method == "dual-t":
        anchors = anchors @ empirical_confusion(p.argmax(1), seen, p.shape[1])
    return anchors / anchors.sum(1, keepdim=True)


def _anchor(column: Tensor, quantile: float) -> int:
    limit = torch.quantile(column, quantile, interpolation="higher")
    kept = torch.where(column < limit, column, -1.0) if quantile < 1 and bool((column < limit).any()) else column
    return int(kept.argmax())
