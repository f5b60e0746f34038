"""Noise stability optimization: gradients at W + U and W − U instead of at W (Zhang, Li and Ju 2024, Algorithm 1).

Their average is an unbiased gradient of F(W) = E f(W + U) = f(W) + (σ²/2) tr ∇²f(W) + O(σ⁴): descent on it looks for
minima whose Hessian has a small trace. The pair cancels what is linear in U, so that on a quadratic every draw gives
the exact gradient, where the one-sided form adds a noise of covariance σ²(∇²f)².
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from numbers import Integral
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from .around import Around, Closure, Replay, accumulate, length_of

Noise = Literal["normal", "laplace", "uniform", "rademacher"]


class NSO(Around):
    """Descend on the loss averaged over noise in the weights.

    Parameters
    ----------
    params : iterable of Tensor, of (name, Tensor), or of dict
        What to optimize. A group may have a `sigma` of its own; 0 leaves it unperturbed (normalisation layers, say).
    base : type of Optimizer
        Consumes the gradient: `torch.optim.SGD`, `torch.optim.AdamW`, …
    sigma : float
        Standard deviation of the noise, per coordinate, in the units of the weights.
    perturbations : int
        Number k of draws a step.
    two_point : bool
        Take the gradient at W + U and W − U, and not at W + U alone.
    clean_weight : float
        Weight λ of the gradient at W itself; it is not computed where this is 0.
    noise : "normal", "laplace", "uniform" or "rademacher"
        Law of U/σ, each symmetric and of unit variance.
    generator : torch.Generator, optional
        Source of the noise; torch's own of the parameters' device by default.
    model : Module, optional
        The module whose batch normalisation is written once a step: by the pass at W where there is one, by the first
        perturbed one otherwise. Without it every pass writes.
    clean_statistics : bool
        Spend a forward pass at W for these statistics where `clean_weight` is 0.
    **base_options
        Passed on to `base`, such as ``lr``.

    Raises
    ------
    TypeError
        If an argument is of the wrong kind, or a parameter that requires a gradient is not of real floating point.
    ValueError
        If no parameter requires a gradient, `sigma` is negative or not finite, `perturbations` below 1, `clean_weight`
        outside [0, 1], or `noise` not symmetric with unit variance.

    Notes
    -----
    The step's gradient is ``λ g(W) + (1 − λ)/(2k) Σ_j [g(W + U_j) + g(W − U_j)]``: 2k evaluations, 2k + 1 if λ > 0.
    Both sides of a pair see the same random numbers (dropout masks), as the linear term would not cancel otherwise.
    Memory: one copy of the weights, of a draw, and of the gradient.

    References
    ----------
    Zhang, Li and Ju, "Noise Stability Optimization for Finding Flat Minima", TMLR 2024.

    Examples
    --------
    >>> import torch
    >>> w = torch.nn.Parameter(torch.tensor([3.0, -2.0]))
    >>> optimizer = NSO([w], torch.optim.SGD, sigma=0.5, lr=0.5)
    >>> loss = optimizer.step(lambda: 0.5 * (w**2).sum())  # exact on a quadratic
    >>> w.data
    tensor([ 1.5000, -1.0000])
    """

    def __init__(
        self,
        params: Iterable[Any],
        base: Callable[..., Optimizer],
        *,
        sigma: float,
        perturbations: int = 1,
        two_point: bool = True,
        clean_weight: float = 0.0,
        noise: Noise = "normal",
        generator: torch.Generator | None = None,
        model: nn.Module | None = None,
        clean_statistics: bool = False,
        **base_options: Any,
    ) -> None:
        sigma = length_of("sigma", sigma)
        perturbations = _whole("perturbations", perturbations)
        clean_weight = length_of("clean_weight", clean_weight)
        if clean_weight > 1:
            raise ValueError(f"clean_weight must lie between 0 and 1, got {clean_weight}")
        if generator is not None and not isinstance(generator, torch.Generator):
            raise TypeError(f"generator must be a torch.Generator or None, got {generator!r}")
        if noise not in get_args(Noise):
            raise ValueError(
                f"noise must be one of {get_args(Noise)}, got {noise!r}: the method asks for a law that is symmetric "
                "about 0 with variance 1"
            )
        super().__init__(params, base, {"sigma": sigma}, model=model, **base_options)
        self.perturbations = perturbations
        self.two_point = two_point
        self.clean_weight = clean_weight
        self.noise: Noise = noise
        self.generator = generator
        self.clean_statistics = clean_statistics

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group, whose `sigma` is the optimizer's unless it has one.

        Raises
        ------
        ValueError
            If its `sigma` is negative or not finite.
        """
        if "sigma" in param_group:
            param_group = {**param_group, "sigma": length_of("sigma", param_group["sigma"])}
        super().add_param_group(param_group)

    @torch.no_grad()
    def step(self, closure: Closure, clean_closure: Closure | None = None) -> Tensor:  # type: ignore[override]
        """Make one step of the base optimizer on the averaged gradient.

        Parameters
        ----------
        closure : callable
            Returns the loss of the current minibatch, and may have called ``backward()``. It is called twice in a row
            for each draw, W + U first. Gradients that were there before are dropped.
        clean_closure : callable, optional
            The same for the gradient at W, where that has a term of its own such as a penalty.

        Returns
        -------
        Tensor, shape ()
            The estimate of λ f(W) + (1 − λ) F(W).

        Raises
        ------
        TypeError, ValueError
            If `closure` does not return a loss that depends on the parameters.
        Exception
            What `closure` raises; the weights are then as they were.
        """
        clean, parameters = self.clean_weight, self.parameters()
        gradient: list[Tensor | None] = [None] * len(parameters)
        value: Tensor | None = None
        unwritten = True
        if clean > 0 or self.clean_statistics:
            loss, gradients = self._gradient(clean_closure or closure, differentiate=clean > 0)
            unwritten = False
            if clean > 0:
                gradient, value = accumulate(gradient, gradients, clean), clean * loss
        if clean < 1:
            sides = (1.0, -1.0) if self.two_point else (1.0,)
            weight = (1 - clean) / (self.perturbations * len(sides))
            with self._weights_kept() as kept:
                for turn in range(self.perturbations):
                    draw = self._draw(parameters)
                    replay = Replay(parameters)
                    for side in sides:
                        if turn > 0 or side < 0:  # at first the weights are as they were kept
                            torch._foreach_copy_(parameters, kept)
                        torch._foreach_add_(parameters, draw, alpha=side)
                        replay.rewind()
                        with self._statistics(written=unwritten):
                            loss, gradients = self._gradient(closure)
                        unwritten = False
                        gradient = accumulate(gradient, gradients, weight)
                        value = weight * loss if value is None else value + weight * loss
        self._descend(gradient)
        assert value is not None
        return value

    def _draw(self, parameters: list[Tensor]) -> list[Tensor]:
        """One draw of U as a list shaped like the parameters.

        It is drawn flat and then cut, so that it depends on the number of coordinates before a parameter only.
        """
        device = parameters[0].device if self.generator is None else self.generator.device
        dtype = torch.float64 if any(p.dtype == torch.float64 for p in parameters) else torch.float32
        count = sum(parameter.numel() for parameter in parameters)
        flat = unit_noise(self.noise, count, self.generator, dtype=dtype, device=device)
        sigmas = [group["sigma"] for group in self.param_groups for p in group["params"] if p.requires_grad]
        pieces = torch.split(flat, [parameter.numel() for parameter in parameters])
        # in place: as large as the weights, and drawn in every step
        return [
            piece.mul_(sigma).view_as(p).to(p.device, p.dtype) for sigma, piece, p in zip(sigmas, pieces, parameters)
        ]


def unit_noise(
    law: Noise, count: int, generator: torch.Generator | None, *, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """Independent draws from a symmetric law of unit variance.

    Parameters
    ----------
    law : "normal", "laplace", "uniform" or "rademacher"
        Laplace has the scale 1/√2, the uniform law the bounds ±√3.
    count : int
        Number of draws.
    generator : torch.Generator or None
        Source of randomness; torch's own for `device` if None.

    Returns
    -------
    Tensor, shape (count,)
    """
    where: dict[str, Any] = {"generator": generator, "dtype": dtype, "device": device}
    if law == "normal":
        return torch.randn(count, **where)
    if law == "rademacher":
        return torch.randint(0, 2, (count,), generator=generator, device=device).to(dtype) * 2 - 1
    centred = torch.rand(count, **where) - 0.5  # in [−1/2, 1/2)
    if law == "uniform":
        return centred * 12**0.5
    return -centred.sign() * torch.log1p(-2 * centred.abs().clamp(max=0.5 * (1 - torch.finfo(dtype).eps))) / 2**0.5


def _whole(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be a whole number of at least 1, got {value!r}")
    found = int(value)
    if found < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, got {value}")
    return found
