"""Hash table of edges: open addressing with linear probing, two integers a slot.

A slot holds a key, ``tail << 32 | head``, and one more integer of whoever keeps it.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-untyped-decorators
# Kernels have the types that numba infers.

from __future__ import annotations

import numpy as np

from reprise.dynamic_pagerank.compiled import kernel, long_kernel

EMPTY = -1
LOAD = 0.7


def slots_for(edges: int) -> int:
    """Return how many slots a table needs for so many edges."""
    return int(edges / LOAD) + 1


@kernel
def hashed(key, shift):
    """Return the slot where a search for `key` begins (Fibonacci hashing)."""
    # The fold keeps tails, which fill the upper half only, from being told apart by few bits.
    mixed = np.uint64(key) ^ (np.uint64(key) >> np.uint64(29))
    return np.int64((mixed * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(shift))


@kernel
def find(table, key, shift):
    """Return the slot of a key, or the empty slot at which it belongs."""
    last = len(table) // 2 - 1
    slot = hashed(key, shift)
    while table[2 * slot] != key and table[2 * slot] != EMPTY:
        slot = (slot + 1) & last
    return slot


@long_kernel
def rehash(old, new, shift):
    """Copy all entries of a table into an empty one."""
    for slot in range(len(old) // 2):
        if old[2 * slot] != EMPTY:
            place = find(new, old[2 * slot], shift)
            new[2 * place], new[2 * place + 1] = old[2 * slot], old[2 * slot + 1]


@kernel
def clear(table, slot, shift):
    """Empty a slot and close the gap, so that no search ends too early (Knuth 6.4, Algorithm R)."""
    last = len(table) // 2 - 1
    hole = slot
    while True:
        slot = (slot + 1) & last
        if table[2 * slot] == EMPTY:
            break
        home = hashed(table[2 * slot], shift)
        if ((slot - home) & last) >= ((slot - hole) & last):
            table[2 * hole], table[2 * hole + 1] = table[2 * slot], table[2 * slot + 1]
            hole = slot
    table[2 * hole] = EMPTY
