"""Sharpness-aware minimization: the gradient where the loss is worst nearby (Foret et al. 2021)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from .around import Around, Closure, Replay, length_of


class SAM(Around):
    """Descend along the gradient at W + ρ g/‖g‖, with g the gradient at W.

    Parameters
    ----------
    params : iterable of Tensor, of (name, Tensor), or of dict
        What to optimize; ‖g‖ is over all of it.
    base : type of Optimizer
        Consumes the gradient.
    rho : float
        Length of the ascent, in the units of the weights.
    model : Module, optional
        The module whose batch normalisation is written by the pass at W only. Without it both passes write.
    **base_options
        Passed on to `base`, such as ``lr``.

    Raises
    ------
    TypeError
        If an argument is of the wrong kind, or a parameter that requires a gradient is not of real floating point.
    ValueError
        If no parameter requires a gradient, or `rho` is negative or not finite.

    Notes
    -----
    Two gradient evaluations a step, both with the same random numbers (dropout masks).

    References
    ----------
    Foret, Kleiner, Mobahi and Neyshabur, "Sharpness-Aware Minimization for Efficiently Improving Generalization", ICLR
    2021.

    Examples
    --------
    >>> import torch
    >>> w = torch.nn.Parameter(torch.tensor([3.0, 4.0]))
    >>> optimizer = SAM([w], torch.optim.SGD, rho=1.0, lr=0.5)
    >>> loss = optimizer.step(lambda: 0.5 * (w**2).sum())  # the gradient at (3.6, 4.8)
    >>> w.data
    tensor([1.2000, 1.6000])
    """

    def __init__(
        self,
        params: Iterable[Any],
        base: Callable[..., Optimizer],
        *,
        rho: float = 0.05,
        model: nn.Module | None = None,
        **base_options: Any,
    ) -> None:
        rho = length_of("rho", rho)
        super().__init__(params, base, {}, model=model, **base_options)
        self.rho = rho

    @torch.no_grad()
    def step(self, closure: Closure) -> Tensor:  # type: ignore[override]
        """Make one step of the base optimizer on the gradient at the worst point nearby.

        Parameters
        ----------
        closure : callable
            Returns the loss of the current minibatch, and may have called ``backward()``; called twice. Gradients that
            were there before are dropped.

        Returns
        -------
        Tensor, shape ()
            The loss at W.

        Raises
        ------
        TypeError, ValueError
            If `closure` does not return a loss that depends on the parameters.
        Exception
            What `closure` raises; the weights are then as they were.
        """
        parameters = self.parameters()
        replay = Replay(parameters)
        loss, gradients = self._gradient(closure)
        used = [(p, gradient) for p, gradient in zip(parameters, gradients) if gradient is not None]
        device = used[0][0].device
        norm = torch.stack([gradient.norm().to(device) for _, gradient in used]).norm()
        with self._weights_kept():
            length = self.rho / norm.clamp_min(torch.finfo(norm.dtype).tiny)
            for parameter, gradient in used:
                parameter.add_(gradient * length.to(parameter))
            replay.rewind()
            with self._statistics(written=False):
                _, gradients = self._gradient(closure)
        self._descend(gradients)
        return loss
