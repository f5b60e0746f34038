"""The consistent loss: unbiased for the clean loss under class-conditional label noise, and unbounded below."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from .confusion import valid_confusion
from .validation import class_labels, real_number, whole_number


class UnboundedLossWarning(UserWarning):
    """A corrected loss has been negative for many steps: it is being over-fitted."""


class ConsistentLoss(nn.Module):
    """``ℓ̄(f(x), ỹ) = Σ_j [F⁻¹]_{ỹ,j} ℓ(f(x), j)`` with ℓ the cross-entropy, averaged over the batch.

    Parameters
    ----------
    confusion : array, shape (k, k)
        F[y, z], the probability that label y is seen as z.
    patience : int
        Warn after so many calls in a row in train mode with a negative loss.

    Raises
    ------
    ValueError
        If the matrix is not square, a row does not sum to one (1e-6), or its condition number is above 1e8.

    Warns
    -----
    UnboundedLossWarning
        Once, see `patience`.

    Notes
    -----
    ``Σ_z F[y, z] ℓ̄(f(x), z) = ℓ(f(x), y)`` exactly: in expectation it is the loss on clean labels (Natarajan et al.
    2013; Ju, Li and Zhang 2022). F⁻¹ has negative entries: without a constraint
    training drives it to −∞ while the clean loss grows. Combine it with `LayerConstraints`. It is never clamped.

    Examples
    --------
    >>> loss = ConsistentLoss([[0.8, 0.2], [0.2, 0.8]])
    >>> logits = torch.tensor([[1.0, 0.0]])
    >>> seen = torch.stack([loss(logits, torch.tensor([z])) for z in (0, 1)])
    >>> clean = nn.functional.cross_entropy(logits, torch.tensor([0]))
    >>> bool(torch.isclose(0.8 * seen[0] + 0.2 * seen[1], clean))
    True
    """

    inverse: Tensor

    def __init__(self, confusion: Any, *, patience: int = 50) -> None:
        super().__init__()
        matrix = valid_confusion("confusion", confusion)
        self.register_buffer("inverse", torch.linalg.inv(matrix))
        self.patience = whole_number("patience", patience)
        self._negative = 0

    @property
    def noise_factor(self) -> float:
        """``‖F⁻¹‖_{1,∞}``, the largest absolute column sum: how much the noise inflates the bound."""
        return float(self.inverse.abs().sum(0).max())

    def forward(self, logits: Tensor, noisy: Tensor) -> Tensor:
        """Mean corrected loss, shape (), of logits (B, k) and the labels (B,) that were seen."""
        self._check(logits, noisy)
        try:
            # where indexing would count a label of -1 from the end, and take those of eight bits for a mask
            rows = nn.functional.embedding(noisy.long(), self.inverse.to(logits))
        except IndexError:
            class_labels("noisy", noisy, len(self.inverse))
            raise
        loss = -(rows * logits.log_softmax(-1)).sum(-1).mean()
        if self.training and not torch._C._functorch.is_functorch_wrapped_tensor(loss):
            self._watch(float(loss.detach()))
        return loss

    def _check(self, logits: Tensor, noisy: Tensor) -> None:
        k = len(self.inverse)
        if not isinstance(logits, Tensor) or not isinstance(noisy, Tensor):
            raise TypeError(f"logits and noisy must be tensors, got {type(logits).__name__} and {type(noisy).__name__}")
        if logits.ndim != 2 or logits.shape[1] != k:
            raise ValueError(f"logits must have {k} columns, as the confusion, got shape {tuple(logits.shape)}")
        if noisy.shape != logits.shape[:1]:
            raise ValueError(f"noisy must have shape ({len(logits)},), as logits have rows, got {tuple(noisy.shape)}")
        if noisy.is_floating_point() or noisy.dtype == torch.bool:
            raise TypeError(f"noisy must be whole numbers, got {noisy.dtype}")

    def _watch(self, value: float) -> None:
        self._negative = self._negative + 1 if value < 0 else 0
        if self._negative == self.patience:
            warnings.warn(
                f"the corrected loss has been negative for {self.patience} steps in a row: it is unbounded below and "
                "is being over-fitted; constrain the layers' distances or stop earlier",
                UnboundedLossWarning,
                stacklevel=3,
            )


def noisy_label_bound(
    corrected_loss: float,
    confusion: Any,
    radii: Mapping[str, float],
    traces: Mapping[str, float],
    *,
    loss_bound: float,
    n: int,
) -> float:
    """The bound of Theorem 2.2 without its ε and higher-order term; a recalled form, see Notes.

    Parameters
    ----------
    corrected_loss : float
        Mean corrected loss on the training examples.
    confusion : array, shape (k, k)
    radii : dict of str to float
        α_i of every layer.
    traces : dict of str to float
        Largest trace of H_i⁺ over examples, of every layer.
    loss_bound : float
        C, the largest loss.
    n : int
        Training examples.

    Returns
    -------
    float
        ``corrected_loss + √(C ‖F⁻¹‖_{1,∞} / n) Σ_i α_i √(max tr H_i⁺)``.

    Raises
    ------
    ValueError, TypeError
        If a radius, a trace or a number is not finite or out of range, or radii and traces name other layers.

    Notes
    -----
    Recalled from the literature, not read in the paper: where ‖F⁻¹‖_{1,∞} stands relative to the root may differ in
    print.
    """
    for given, value in (("radii", radii), ("traces", traces)):
        if not isinstance(value, Mapping):
            raise TypeError(f"{given} must map names of layers to numbers, got {type(value).__name__}")
    if radii.keys() != traces.keys():
        raise ValueError(f"traces must name the layers of radii ({', '.join(radii)}), got {', '.join(traces)}")
    mean = real_number("corrected_loss", corrected_loss, minimum=-math.inf)  # unbounded below
    largest = real_number("loss_bound", loss_bound, open_at_minimum=True)
    factor = ConsistentLoss(confusion).noise_factor
    weighted = sum(
        real_number(f"radii[{name!r}]", radius, open_at_minimum=True)
        * math.sqrt(max(real_number(f"traces[{name!r}]", traces[name], minimum=-math.inf), 0.0))
        for name, radius in radii.items()
    )
    return mean + math.sqrt(largest * factor / whole_number("n", n)) * weighted
