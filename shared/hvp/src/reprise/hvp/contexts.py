"""The state of torch in which second derivatives exist and are repeatable.

Fused attention kernels have no double backward, RNN kernels neither; dropout draws new noise at every pass; batch
normalisation couples examples and writes its buffers; TensorFloat-32 rounds to 1e-3. Each context sets one of these
for the time of a curvature call and puts back what was there.
"""

from __future__ import annotations

import contextlib
import functools
import warnings
from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

BatchNorm = Literal["eval", "batch"]
_BATCH_NORMS = nn.modules.batchnorm._BatchNorm
_DROPOUTS = nn.modules.dropout._DropoutNd


@contextlib.contextmanager
def differentiable(
    model: nn.Module | None,
    device: torch.device,
    *,
    batch_norm: BatchNorm = "eval",
    seed: int | None = None,
    allow_tf32: bool = False,
) -> Iterator[None]:
    """Make the passes inside twice differentiable and repeatable.

    Parameters
    ----------
    model : Module or None
        Whose batch normalisation is set, and that is searched for recurrent layers.
    device : torch.device
        Where the passes run.
    batch_norm : "eval" or "batch"
        Normalise with running statistics, or with those of the batch without writing the buffers.
    seed : int, optional
        Seed of the random operations inside (dropout); the generators outside are left as they were.
    allow_tf32 : bool
        Leave TensorFloat-32 as the caller set it; off inside by default.
    """
    _load_forward_rules()
    with contextlib.ExitStack() as stack:
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        stack.enter_context(_attention_fast_path_off())
        if model is not None:
            stack.enter_context(_batch_norm_mode(model, batch_norm))
            if any(isinstance(module, nn.RNNBase) for module in model.modules()):
                # not by cudnn.flags, which reads TF32's old switch and so makes torch 2.9 warn
                stack.enter_context(_off(torch.backends.cudnn))
                stack.enter_context(_off(torch.backends.mkldnn))
        if device.type == "cuda" and not allow_tf32:
            stack.enter_context(_full_precision())
        if seed is not None:
            stack.enter_context(torch.random.fork_rng([device] if device.type == "cuda" else []))
            torch.manual_seed(seed)
        yield


def refuse_dropout(model: nn.Module) -> None:
    """Raise if a layer of `model` would draw noise.

    Raises
    ------
    ValueError
        If a dropout layer, or a recurrent or attention layer with dropout, is in train mode.
    """
    for name, module in model.named_modules():
        if isinstance(module, _DROPOUTS):
            rate = module.p
        elif isinstance(module, (nn.RNNBase, nn.MultiheadAttention)):
            rate = module.dropout
        else:
            continue
        if module.training and rate > 0:
            raise ValueError(
                f"model draws noise: {name or 'model'} ({type(module).__name__}) has dropout {rate} in train mode, so "
                "that no two products see the same function; call model.eval(), or pass freeze_randomness=True"
            )


@functools.cache
def _load_forward_rules() -> None:
    """Have torch load its forward-mode rules, which warns of its own deprecations at their first use."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.func.jvp(torch.sin, (torch.zeros(1),), (torch.ones(1),))


@contextlib.contextmanager
def _off(backend: Any) -> Iterator[None]:
    before = backend.enabled
    backend.enabled = False
    try:
        yield
    finally:
        backend.enabled = before


@contextlib.contextmanager
def _attention_fast_path_off() -> Iterator[None]:
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


@contextlib.contextmanager
def _batch_norm_mode(model: nn.Module, mode: BatchNorm) -> Iterator[None]:
    layers = [module for module in model.modules() if isinstance(module, _BATCH_NORMS)]
    before = [(layer.training, layer.track_running_stats) for layer in layers]
    try:
        for layer in layers:
            # training without tracking: statistics of the batch, buffers untouched
            layer.training = mode == "batch"
            layer.track_running_stats = layer.track_running_stats and mode == "eval"
        yield
    finally:
        for layer, (training, tracking) in zip(layers, before):
            layer.training = training
            layer.track_running_stats = tracking


@contextlib.contextmanager
def _full_precision() -> Iterator[None]:
    cudnn: Any = torch.backends.cudnn
    settings = [torch.backends.cuda.matmul, cudnn.conv, cudnn.rnn]
    before = [setting.fp32_precision for setting in settings]
    try:
        for setting in settings:
            setting.fp32_precision = "ieee"
        yield
    finally:
        for setting, value in zip(settings, before):
            setting.fp32_precision = value
