"""Generalization bounds from norms of weights and of distances, which the Hessian distance measure is compared with.

All three are recalled from the literature: exponents and the dependence on norms hold, constants may differ in print.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from .layers import Layers, Reference, reference_weights, weight_layers
from .validation import real_number, whole_number

Kind = Literal["distance", "spectral", "infinity"]


@torch.no_grad()
def pac_bayes_norm_bound(
    model: nn.Module,
    reference: Reference,
    n: int,
    *,
    kind: Kind = "distance",
    loss_bound: float = 1.0,
    input_norm: float = 1.0,
    margin: float = 1.0,
    lipschitz: float = 2**0.5,
    slack: float = 0.1,
    failure: float = 0.01,
    head: str | Iterable[str] | None = None,
    layers: Layers = None,
) -> float:
    """A bound on the generalization gap from norms alone.

    Parameters
    ----------
    model, reference, head, layers
        As for `hessian_distance`.
    n : int
        Training examples.
    kind : "distance", "spectral" or "infinity"
        Li and Zhang (2021), Theorem 2.1; Neyshabur, Bhojanapalli and Srebro (2018) with distances from the pretrained
        weights; Gouk, Hospedales and Pontil (2021) in infinity-operator norms.
    loss_bound : float
        C, the largest loss.
    input_norm : float
        Largest ℓ2 norm of an input (of "infinity": largest entry).
    margin : float
        γ of "spectral".
    lipschitz : float
        Of the loss in the logits; √2 for the cross-entropy.
    slack, failure : float
        ε and δ.

    Returns
    -------
    float

    Raises
    ------
    ValueError, TypeError
        For unknown kinds, numbers out of range, or a reference that does not fit.

    Notes
    -----
    With B_i = ‖W_i^s‖₂, D_i = ‖W_i − W_i^s‖_F, L layers and H the largest width:

    - "distance": ``ε + C √(((36/ε²) C_1² H log(4LHC) (Σ_i Π_j (B_j+D_j)/(B_i+D_i))² Σ_i D_i² x² + 3 ln(n/δ) + 8)/n)``,
      stated for inputs of norm 1; x is `input_norm`.
    - "spectral": ``C √((L² H ln(LH) x² Π_j ‖W_j‖₂² Σ_i D_i²/‖W_i‖₂² + ln(Ln/δ))/(γ² n))``.
    - "infinity": ``4 C_1 √(ln(2 d_0)) x Π_j 2‖W_j‖_∞ Σ_i ‖W_i − W_i^s‖_∞/‖W_i‖_∞ / √n + C √(ln(1/δ)/n)``.

    Examples
    --------
    >>> _ = torch.manual_seed(0)
    >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    >>> start = {name: p.detach() * 0.9 for name, p in model.named_parameters()}
    >>> pac_bayes_norm_bound(model, start, 100) > 10
    True
    """
    if kind not in get_args(Kind):
        raise ValueError(f"kind must be one of {', '.join(get_args(Kind))}, got {kind!r}")
    n = whole_number("n", n)
    C = real_number("loss_bound", loss_bound, open_at_minimum=True)
    x = real_number("input_norm", input_norm, open_at_minimum=True)
    gamma = real_number("margin", margin, open_at_minimum=True)
    c1 = real_number("lipschitz", lipschitz, open_at_minimum=True)
    epsilon = real_number("slack", slack, open_at_minimum=True)
    delta = real_number("failure", failure, maximum=1.0, open_at_minimum=True)
    weights = weight_layers(model, layers)
    start = reference_weights(weights, reference, head=head)
    final = [_matrix(weight) for weight in weights.values()]
    before = [_matrix(start[name]) for name in weights]
    moved = [float((after - first).norm()) for after, first in zip(final, before)]
    L, H = len(final), max(max(matrix.shape) for matrix in final)
    if kind == "distance":
        reach = [float(torch.linalg.matrix_norm(first, 2)) + d for first, d in zip(before, moved)]
        product = math.prod(reach)
        sensitivity = sum(product / r for r in reach if r > 0)
        main = 36 / epsilon**2 * c1**2 * H * math.log(4 * L * H * max(C, 1.0)) * (sensitivity * x) ** 2
        return epsilon + C * math.sqrt((main * sum(d**2 for d in moved) + 3 * math.log(n / delta) + 8) / n)
    if kind == "spectral":
        norms = [max(float(torch.linalg.matrix_norm(after, 2)), 1e-12) for after in final]
        sharpness = math.prod(norms) ** 2 * sum((d / s) ** 2 for d, s in zip(moved, norms))
        numerator = L**2 * H * math.log(L * H) * x**2 * sharpness + math.log(L * n / delta)
        return C * math.sqrt(numerator / (gamma**2 * n))
    norms = [max(_rows(after), 1e-12) for after in final]
    paths = math.prod(2 * norm for norm in norms) * sum(_rows(a - b) / s for a, b, s in zip(final, before, norms))
    width = final[0].shape[1]
    return 4 * c1 * math.sqrt(math.log(2 * width)) * x * paths / math.sqrt(n) + C * math.sqrt(math.log(1 / delta) / n)


def _matrix(weight: Tensor) -> Tensor:
    """The weight as output channels × everything else, in float64."""
    return weight.detach().double().flatten(1)


def _rows(matrix: Tensor) -> float:
    return float(matrix.abs().sum(1).max())
