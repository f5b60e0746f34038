"""A transfer task that fits into any laptop: scikit-learn's digits, pretrained on 0 to 4, fine-tuned on 5 to 9."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .fine_tuning import fine_tune
from .validation import whole_number


@dataclass(frozen=True)
class DigitsTransfer:
    """A pretrained network and examples of the other five digits.

    Attributes
    ----------
    state : dict of str to Tensor
        Weights after pretraining; the head is the pretrained one as well.
    train, validation, test : pair ``(inputs (n, 64), labels (n,))``
    """

    state: dict[str, Tensor]
    train: tuple[Tensor, Tensor]
    validation: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]


def network(activation: type[nn.Module] = nn.GELU) -> nn.Sequential:
    """Layers of 64, 16, 16 and 5 units."""
    return nn.Sequential(nn.Linear(64, 16), activation(), nn.Linear(16, 16), activation(), nn.Linear(16, 5))


def pretrained_digits(seed: int, *, epochs: int = 30) -> dict[str, Tensor]:
    """Weights of `network` after training on the digits 0 to 4.

    Parameters
    ----------
    seed : int
        Of the start and the order.
    epochs : int
    """
    x, y = _digits()
    early = y < 5
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(whole_number("seed", seed, minimum=0))
        model = network()
    fine_tune(
        model,
        (x[early], y[early]),
        optimizer=lambda parameters: torch.optim.AdamW(parameters, lr=3e-3),
        decay_every=None,
        epochs=epochs,
        seed=seed,
    )
    return dict(model.state_dict())


def digits_transfer(n: int, seed: int, *, state: dict[str, Tensor] | None = None) -> DigitsTransfer:
    """The pretrained network, and a split of the digits 5 to 9.

    Parameters
    ----------
    n : int
        Training examples, at most 500; 150 examples validate, the rest tests.
    seed : int
        Of the split, and of the pretraining.
    state : dict of str to Tensor, optional
        What `pretrained_digits` gave; it is called with `seed` otherwise.

    Returns
    -------
    DigitsTransfer

    Raises
    ------
    ValueError, TypeError
        If `n` is out of range.
    """
    if whole_number("n", n) > 500:
        raise ValueError(f"n must be at most 500, got {n}")
    generator = torch.Generator().manual_seed(whole_number("seed", seed, minimum=0))
    x, y = _digits()
    x, y = x[y >= 5], y[y >= 5] - 5
    order = torch.randperm(len(y), generator=generator)
    parts = (order[:n], order[500:650], order[650:])
    train, validation, test = ((x[index], y[index]) for index in parts)
    return DigitsTransfer(pretrained_digits(seed) if state is None else state, train, validation, test)


def _digits() -> tuple[Tensor, Tensor]:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return torch.tensor(bunch.data, dtype=torch.float32) / 16.0, torch.tensor(bunch.target)
