"""Asking for memory before it is needed: events that come are known, and each touches places far apart.

An update of a graph that is larger than the caches waits for memory most of its time. While one event is followed,
those a few places later are looked up, so that their waits overlap.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-untyped-decorators
# Kernels have the types that numba infers.

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from reprise.dynamic_pagerank.adjacency import SHIFT
from reprise.dynamic_pagerank.compiled import kernel
from reprise.dynamic_pagerank.edge_table import hashed
from reprise.dynamic_pagerank.edges import edge_key

# How many events earlier. Each step reads what the one before it asked for: a slot and the two nodes, the ends of
# their lists.
FAR, NEAR = 12, 6


def _fetch(typingctx, array, index):
    """Ask for the cache line of ``array[index]``, one-dimensional; any index is allowed, as nothing is read."""

    def generate(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        byte, integer = ir.IntType(8).as_pointer(), ir.IntType(32)
        of_type = ir.FunctionType(ir.VoidType(), [byte, integer, integer, integer])
        function = builder.module.declare_intrinsic("llvm.prefetch", [byte], of_type)
        place = builder.bitcast(builder.gep(data, [arguments[1]]), byte)
        # for writing, into all caches, data
        builder.call(function, [place, integer(1), integer(3), integer(1)])
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


fetch: Any = intrinsic(_fetch)


@kernel
def anticipate(graph, events, i):
    """Ask for what the graph needs for the events soon after event `i`."""
    size, side = len(events.tails), len(graph.start) - 1
    if i + FAR < size:
        tail, head = events.tails[i + FAR], events.heads[i + FAR]
        fetch(graph.table, 2 * hashed(edge_key(graph, tail, head), graph.meta[SHIFT]))
        _fetch_node(graph, 0, tail)
        _fetch_node(graph, side, head)
    if i + NEAR < size:
        tail, head = events.tails[i + NEAR], events.heads[i + NEAR]
        fetch(graph.pool, graph.start[0, tail] + graph.degree[0, tail])
        fetch(graph.pool, graph.start[side, head] + graph.degree[side, head])


@kernel
def _fetch_node(graph, side, node):
    fetch(graph.start[side], np.int64(node))
    fetch(graph.degree[side], np.int64(node))
    fetch(graph.level[side], np.int64(node))
    fetch(graph.total, np.int64(node))


@kernel
def anticipate_columns(columns, events, i):
    """Ask for what repairs need for an event soon after event `i`: the sooner, the more columns there are."""
    many = len(columns.origins)
    coming = i + (NEAR if many == 1 else 1)
    if coming < len(events.tails):
        tail, head = np.int64(events.tails[coming]), np.int64(events.heads[coming])
        for column in range(many):
            for array in (columns.estimate[column], columns.residual[column]):
                fetch(array, tail)
                fetch(array, head)
