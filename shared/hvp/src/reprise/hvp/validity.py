"""Whether products on a batch come from one symmetric matrix: repeatable, linear, symmetric."""

from __future__ import annotations

import torch

from .engine import Engine
from .failures import explain_failure

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4, torch.float16: 3e-2, torch.bfloat16: 1e-1}


def check_operator(engine: Engine) -> None:
    """Verify the products on the first batch, by three of them and two evaluations of the loss.

    Parameters
    ----------
    engine : Engine
        Whose products to verify.

    Raises
    ------
    ValueError
        If two evaluations of the loss differ, or the products are not linear, or not symmetric, to a relative 1e-4 in
        float32 and 1e-9 in float64.
    """
    space = engine.space
    precision = max((p.dtype for p in space.tensors.values()), key=lambda dtype: TOLERANCE[dtype])
    tolerance = TOLERANCE[precision]
    batch = engine.batches.first()
    with engine.context():
        engine.validate(batch, 0)
        first, second = (float(engine.products.loss(batch)) for _ in range(2))
        if abs(first - second) > tolerance * max(abs(first), abs(second)):
            raise ValueError(
                f"model is not deterministic: two evaluations on one batch give the loss {first} and {second}; call "
                "model.eval() or pass freeze_randomness=True"
            )
        if engine.settings.strategy == "finite-difference":
            return  # approximate by nature, its rounding errors far above any tolerance
        generator = torch.Generator(space.device).manual_seed(0)
        v, w = torch.randn(2, space.size, generator=generator, dtype=space.dtype, device=space.device)
        with explain_failure(engine.strategy):
            images = engine.multiply(0, batch, torch.stack([v, w, 0.5 * v - 2.0 * w]))
    scale = float(images.norm(dim=1).max())
    if not bool(images.isfinite().all()):
        raise ValueError("model has second derivatives that are not finite on the first batch")
    if float((0.5 * images[0] - 2.0 * images[1] - images[2]).norm()) > 10 * tolerance * scale:
        raise ValueError("model is not twice differentiable here: H(av + bw) differs from aHv + bHw")
    left, right = float(w @ images[0]), float(v @ images[1])
    if abs(left - right) > tolerance * scale * float(max(v.norm(), w.norm())):
        raise ValueError(f"model has an asymmetric second derivative: wᵀHv = {left} but vᵀHw = {right}")
