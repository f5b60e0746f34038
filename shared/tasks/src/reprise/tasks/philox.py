"""Random bits from a counter: Philox4x32-10 in integer torch operations.

A counter-based generator has no state: the bits at a position depend on the seed and the position alone, so that any
block of a long stream can be made by itself, again and on any device, and is the same to the bit. Salmon, Moraes, Dror
and Shaw (2011), "Parallel random numbers: as easy as 1, 2, 3".
"""

from __future__ import annotations

import torch
from torch import Tensor

_MASK = 0xFFFFFFFF
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_KEY_STEPS = (0x9E3779B9, 0xBB67AE85)


def philox(counters: tuple[Tensor, Tensor, Tensor, Tensor], key: tuple[int, int]) -> Tensor:
    """Four random 32-bit words for each counter, by ten rounds of Philox4x32.

    Parameters
    ----------
    counters : four int64 Tensors, broadcastable to one shape (...)
        The words of the counters, each in [0, 2^32).
    key : two int
        The words of the key, each in [0, 2^32).

    Returns
    -------
    int64 Tensor, shape (..., 4)
        Words in [0, 2^32).

    Examples
    --------
    >>> zero = torch.zeros((), dtype=torch.int64)
    >>> [hex(word) for word in philox((zero, zero, zero, zero), (0, 0)).tolist()]
    ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    first, second, third, fourth = torch.broadcast_tensors(*counters)  # type: ignore[no-untyped-call]
    low, high = key
    for _ in range(10):
        # int64 products wrap modulo 2^64, which keeps all 64 bits of the product of two 32-bit words
        product, other = first * _MULTIPLIERS[0], third * _MULTIPLIERS[1]
        first, second, third, fourth = (
            (other >> 32) & _MASK ^ second ^ low,
            other & _MASK,
            (product >> 32) & _MASK ^ fourth ^ high,
            product & _MASK,
        )
        low, high = (low + _KEY_STEPS[0]) & _MASK, (high + _KEY_STEPS[1]) & _MASK
    return torch.stack((first, second, third, fourth), dim=-1)
