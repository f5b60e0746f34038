"""What torch's failures to differentiate twice mean, and what to do about them."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

_SIGNS = (
    r"derivative for '?(?:aten::)?(?P<a>[\w:.]+)'? is not implemented",
    r"derivative for (?P<b>[\w:.]+) not implemented",
    r"Trying to use forward AD with (?P<c>[\w:.]+) that does not support it",
    r"(?P<d>[\w:.]*(?:flash|efficient|cudnn)_attention[\w:.]*)",
    r"(?P<e>\w+) does not support (?:double backward|create_graph)",
    r"autograd\.Function with functorch(?P<g>)",
    r"(?:once_differentiable|trying to differentiate twice a function that was marked)(?P<f>)",
)

_ASKS_FOR_VALUES = "vmap: It looks like you're either (1) calling .item() on a Tensor"


@contextlib.contextmanager
def explain_failure(strategy: str | None) -> Iterator[None]:
    """Turn torch's complaint about a missing second derivative into one that says what to do.

    Parameters
    ----------
    strategy : str or None
        The one that failed; None where there is no other to choose.

    Raises
    ------
    ValueError
        In place of a RuntimeError or NotImplementedError about a kernel that cannot be differentiated twice, or about
        values that vmap does not know.
    """
    try:
        yield
    except (RuntimeError, NotImplementedError) as error:
        if _ASKS_FOR_VALUES in str(error):
            raise ValueError(
                "model or loss asks for the values of a tensor, as .item() and one_hot do, which vmap over examples "
                "or vectors does not know: write it without"
            ) from error
        for sign in _SIGNS:
            match = re.search(sign, str(error))
            if match:
                kernel = next((group for group in match.groups() if group), "a custom autograd function")
                raise ValueError(_advice(kernel, strategy)) from error
        raise


def _advice(kernel: str, strategy: str | None) -> str:
    if "attention" in kernel:
        return (
            f"model runs {kernel}, a fused attention kernel without second derivatives: use "
            "torch.nn.functional.scaled_dot_product_attention (switched to its math kernel here), or load a Hugging "
            'Face model with attn_implementation="sdpa" or "eager"'
        )
    if strategy is None:
        return (
            f"model or loss runs {kernel}, which torch cannot differentiate twice in forward mode: use another kernel"
        )
    other = "reverse-over-reverse" if strategy in ("linearize", "forward-over-reverse") else "finite-difference"
    return (
        f"model runs {kernel}, which torch cannot differentiate twice this way: use another kernel, "
        f'strategy="{other}"' + ("" if other == "finite-difference" else ', or strategy="finite-difference"')
    )
