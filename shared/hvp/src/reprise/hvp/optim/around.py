"""An optimizer around another: it decides where gradients are taken, the base what to do with them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from numbers import Real
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

Closure = Callable[[], Tensor]


class Around(Optimizer):
    """Shares parameter groups and state with a base optimizer, so that schedulers and checkpoints see one optimizer.

    Parameters
    ----------
    params : iterable of Tensor, of (name, Tensor), or of dict
        What to optimize, as in `torch.optim`. Tensors that do not require a gradient are left alone.
    base : type of Optimizer, or callable
        ``base(groups, **base_options)`` makes the optimizer that consumes the gradient.
    options : dict
        Defaults of our own for each group.
    model : Module, optional
        The module whose batch normalisation is written by one pass of a step only.
    **base_options
        Passed on to `base`, such as ``lr``.

    Attributes
    ----------
    base : Optimizer
        The optimizer inside. Clip gradients in a hook of its step: ``base.register_step_pre_hook``.
    evaluations : int
        Gradients taken so far, the unit in which optimizers of this kind are compared.

    Raises
    ------
    TypeError
        If `base` does not make an optimizer, `model` is no module, or a parameter is not of real floating point.
    ValueError
        If no parameter requires a gradient, or `base` asks for a closure of its own (LBFGS).
    """

    def __init__(
        self,
        params: Iterable[Any],
        base: Callable[..., Optimizer],
        options: dict[str, Any],
        *,
        model: nn.Module | None,
        **base_options: Any,
    ) -> None:
        if not callable(base):
            raise TypeError(f"base must be an optimizer's class, such as torch.optim.SGD, got {base!r}")
        if model is not None and not isinstance(model, nn.Module):
            raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")
        super().__init__(params, options)
        if not self.parameters():
            raise ValueError("params must hold a tensor that requires a gradient, got none")
        for parameter in self.parameters():
            if not parameter.is_floating_point():
                raise TypeError(f"params must be real and of floating point, got one of {parameter.dtype}")
        self.base = base(self.param_groups, **base_options)
        if not isinstance(self.base, Optimizer):
            raise TypeError(f"base must make a torch.optim.Optimizer, got {type(self.base).__name__}")
        if isinstance(self.base, torch.optim.LBFGS):
            raise ValueError("base must step from one gradient, which LBFGS does not: it evaluates closures itself")
        self.defaults = {**self.base.defaults, **options}
        self.model = model
        self.evaluations = 0
        self._share()

    def parameters(self) -> list[Tensor]:
        """The tensors that are optimized, in the order of the groups."""
        return [p for group in self.param_groups for p in group["params"] if p.requires_grad]

    def state_dict(self) -> dict[str, Any]:
        """The base optimizer's state, which holds our groups."""
        return self.base.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up a state that `state_dict` gave."""
        self.base.load_state_dict(state_dict)
        self._share()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__.copy()  # torch's own leaves the base out

    def _share(self) -> None:
        self.param_groups, self.state = self.base.param_groups, self.base.state

    def _gradient(self, closure: Closure, *, differentiate: bool = True) -> tuple[Tensor, list[Tensor | None]]:
        """The loss at the present weights and its gradients, taken out of the parameters."""
        if not callable(closure):
            raise TypeError(f"closure must be callable and return the loss, got {closure!r}")
        parameters = self.parameters()
        self.zero_grad(set_to_none=True)
        with torch.enable_grad():
            loss = closure()
            if not isinstance(loss, Tensor) or loss.numel() != 1:
                raise TypeError(f"closure must return the loss, a tensor of one number, got {_describe(loss)}")
            undone = all(p.grad is None for p in parameters)
            if differentiate and undone and loss.requires_grad:
                torch.autograd.backward(loss)
        self.evaluations += differentiate or not undone
        gradients = [p.grad for p in parameters]
        if differentiate and all(gradient is None for gradient in gradients):
            raise ValueError("closure must return a loss that depends on the parameters, or call backward()")
        for parameter in parameters:
            parameter.grad = None
        return loss.detach(), gradients

    @contextlib.contextmanager
    def _weights_kept(self) -> Iterator[list[Tensor]]:
        """Put the weights back bit for bit at the end, whatever happens inside."""
        parameters = self.parameters()
        kept = [parameter.detach().clone() for parameter in parameters]
        try:
            yield kept
        finally:
            with torch.no_grad():
                torch._foreach_copy_(parameters, kept)

    @contextlib.contextmanager
    def _statistics(self, *, written: bool) -> Iterator[None]:
        """Let the passes inside write the running statistics of batch normalisation, or not."""
        layers: list[nn.modules.batchnorm._BatchNorm] = []
        if self.model is not None and not written:
            layers = [m for m in self.model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.training]
        before = [layer.track_running_stats for layer in layers]
        try:
            for layer in layers:
                layer.track_running_stats = False  # in train mode: normalise by the batch, leave the buffers
            yield
        finally:
            for layer, tracking in zip(layers, before):
                layer.track_running_stats = tracking

    def _descend(self, gradients: list[Tensor | None]) -> None:
        for parameter, gradient in zip(self.parameters(), gradients):
            parameter.grad = gradient
        self.base.step()


class Replay:
    """The random numbers of one pass, drawn again in the next: the same dropout mask in both.

    Parameters
    ----------
    parameters : list of Tensor
        Their devices' default generators are recorded now.
    """

    def __init__(self, parameters: list[Tensor]) -> None:
        self._cpu = torch.get_rng_state()
        devices = {parameter.device for parameter in parameters if parameter.is_cuda}
        self._cuda = {device: torch.cuda.get_rng_state(device) for device in devices}

    def rewind(self) -> None:
        """Set the generators back to where they were recorded."""
        torch.set_rng_state(self._cpu)
        for device, state in self._cuda.items():
            torch.cuda.set_rng_state(state, device)


def length_of(name: str, value: Any) -> float:
    """A setting as a finite float of at least 0; refuses truth values and what is no number."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {value!r}")
    found = float(value)
    if not 0 <= found < float("inf"):
        raise ValueError(f"{name} must be finite and at least 0, got {value}")
    return found


def accumulate(total: list[Tensor | None], gradients: list[Tensor | None], weight: float) -> list[Tensor | None]:
    """``total + weight * gradients``, with None for a parameter that no pass has used."""
    sums, addends = [], []
    for i, (present, gradient) in enumerate(zip(total, gradients)):
        if gradient is None:
            continue
        if present is None:
            total[i] = gradient * weight
        else:
            sums.append(present)
            addends.append(gradient)
    if sums:
        torch._foreach_add_(sums, addends, alpha=weight)
    return total


def _describe(value: object) -> str:
    return f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
