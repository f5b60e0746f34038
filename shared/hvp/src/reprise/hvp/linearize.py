"""Programs that are linear in one vector: traced once, evaluated up to that vector once per batch, then applied often.

A curvature product v -> Hv is linear in v, and most of its work (the forward and backward pass at θ) does not depend
on v. `trace_linear` records the whole product as a graph of tensor operations and cuts it in two:

* the *primal* graph, from parameters and batch to the residuals: run once per batch and per value of the parameters;
* the *tangent* graph, from v and the residuals to Hv: run for every product, 2 gradients' worth of arithmetic.

`torch.func.linearize` does the same cut but traces anew at every point; here one trace serves every batch of the same
shapes and every later value of the parameters, so a training run or a data set of many batches pays for it once.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx
from torch.fx.experimental.proxy_tensor import make_fx

aten = torch.ops.aten

Product = Callable[[Sequence[Tensor], Tensor], tuple[Tensor, Tensor]]


class NotLinearizable(RuntimeError):
    """The function cannot be recorded as one graph that serves other inputs."""


@dataclass(frozen=True)
class LinearProgram:
    """A product cut into what depends on the vector and what does not (see `trace_linear`)."""

    primal: fx.GraphModule
    tangent: Callable[..., Tensor]

    def at(self, inputs: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Value and residuals at `inputs`: everything that the products need besides the vector."""
        with torch.no_grad():
            value, *residuals = self.primal(*inputs)
        return value, residuals

    def apply(self, vector: Tensor, residuals: Sequence[Tensor]) -> Tensor:
        """Product with a vector (P,) at the point where `residuals` were computed."""
        with torch.no_grad():
            return self.tangent(vector, *residuals)

    def compiled(self, mode: str | None = None) -> LinearProgram:
        """The same program with `torch.compile` on the tangent graph."""
        return LinearProgram(self.primal, torch.compile(self.tangent, mode=mode))


def trace_linear(product: Product, inputs: Sequence[Tensor], vector: Tensor) -> LinearProgram:
    """Record ``product(inputs, vector) -> (value, result)`` with `result` linear in `vector`, and cut it.

    Parameters
    ----------
    product : callable
        Of a list of tensors and a vector (P,); returns a value that does not depend on the vector, and a vector (P,).
    inputs : sequence of Tensor
        Where to trace; other inputs of the same shapes and types may be used later.
    vector : Tensor, shape (P,)
        Any vector.

    Returns
    -------
    LinearProgram

    Raises
    ------
    NotLinearizable
        If the function branches on the values of tensors, or writes the vector into a tensor that was there before.
    """
    try:
        with warnings.catch_warnings(), torch.no_grad():
            # torch's own deprecations, raised while it loads the forward-mode rules
            warnings.simplefilter("ignore")
            traced = make_fx(torch.func.functionalize(product))(list(inputs), vector)
    except Exception as error:
        raise NotLinearizable(f"{type(error).__name__}: {error}") from error
    graph = traced.graph
    graph.eliminate_dead_code()
    placeholders = [node for node in graph.nodes if node.op == "placeholder"]
    _drop_identities(graph)
    _drop_zeros(graph)
    graph.eliminate_dead_code()
    return _cut(traced, placeholders[:-1], placeholders[-1])


def _cut(traced: fx.GraphModule, inputs: list[fx.Node], vector: fx.Node) -> LinearProgram:
    graph = traced.graph
    output = next(node for node in graph.nodes if node.op == "output")
    value, result = output.args[0]
    dependent = {vector}
    for node in graph.nodes:
        if node is output:
            continue
        if any(source in dependent for source in node.all_input_nodes):
            dependent.add(node)
            if _mutates(node) and node.args[0] not in dependent:
                raise NotLinearizable(f"{node.target} writes the vector into a tensor that does not depend on it")
    boundary: dict[fx.Node, None] = {}
    for node in graph.nodes:
        if node in dependent:
            boundary |= dict.fromkeys(source for source in node.all_input_nodes if source not in dependent)
    if result not in dependent:  # a function whose second derivative vanishes identically
        boundary[result] = None

    primal = fx.Graph()
    mapped: dict[fx.Node, fx.Node] = {}
    for node in graph.nodes:
        if node is vector:
            continue
        if node not in dependent and node is not output:
            mapped[node] = primal.node_copy(node, mapped.__getitem__)
    primal.output([mapped[node] for node in (value, *boundary)])
    primal.eliminate_dead_code()

    tangent = fx.Graph()
    copied = {vector: tangent.placeholder("vector")}
    for position, node in enumerate(boundary):
        copied[node] = tangent.placeholder(f"residual_{position}")
    for node in graph.nodes:
        if node in dependent and node is not vector:
            copied[node] = tangent.node_copy(node, copied.__getitem__)
    tangent.output(copied[result])
    return LinearProgram(fx.GraphModule(traced, primal), fx.GraphModule(traced, tangent))


def _mutates(node: fx.Node) -> bool:
    schema = getattr(node.target, "_schema", None)
    return schema is not None and bool(schema.is_mutable)


def _meta(node: Any) -> tuple[torch.Size, torch.dtype, torch.device] | None:
    value = node.meta.get("val") if isinstance(node, fx.Node) else None
    return (value.shape, value.dtype, value.device) if isinstance(value, Tensor) else None


def _drop_identities(graph: fx.Graph) -> None:
    """Skip operations that return their argument: aliases and copies to the type and device it has."""
    for node in list(graph.nodes):
        if node.target in _VIEWS:  # vmap moves dimensions, after which a view may need a copy
            node.target = aten.reshape.default
        source = node.args[1] if node.target is aten.copy.default else node.args[0] if node.args else None
        if node.target in _ALIASES or (
            node.target in _COPIES
            and node.kwargs.get("memory_format") is None
            and _meta(node) is not None
            and _meta(node) == _meta(source)
        ):
            node.replace_all_uses_with(source)
            graph.erase_node(node)


def _drop_zeros(graph: fx.Graph) -> None:
    """Skip sums with tensors that are zero whatever the inputs: the tangents of data and of constants."""
    zeros: set[fx.Node] = set()
    for node in list(graph.nodes):
        if (
            node.target in _ZEROS
            or (node.target in _ZERO_IN_FIRST and node.args[0] in zeros)
            or (node.target in _ZERO_IN_EITHER and not zeros.isdisjoint(node.args[:2]))
        ):
            zeros.add(node)
        elif node.target in (aten.add.Tensor, aten.sub.Tensor) and not node.kwargs:
            left, right = node.args
            if left in zeros and right in zeros:
                zeros.add(node)
            elif right in zeros:
                _replace(graph, node, left)
            elif left in zeros and node.target is aten.add.Tensor:
                _replace(graph, node, right)


def _replace(graph: fx.Graph, node: fx.Node, source: Any) -> None:
    """Use `source`, expanded to the shape of `node`, for `node`."""
    expected, found = _meta(node), _meta(source)
    if expected is None or found is None or expected[1:] != found[1:]:
        return
    if expected[0] != found[0]:
        with graph.inserting_before(node):
            expanded = graph.call_function(aten.expand.default, (source, list(expected[0])))
        expanded.meta = dict(node.meta)
        source = expanded
    node.replace_all_uses_with(source)
    graph.erase_node(node)


_ALIASES = (aten.alias.default, aten.detach.default)
_COPIES = (aten._to_copy.default, aten.copy.default)
_VIEWS = (aten.view.default, aten._unsafe_view.default)
_ZEROS = (aten.zeros.default, aten.zeros_like.default, aten.new_zeros.default, aten._efficientzerotensor.default)
_ZERO_IN_EITHER = (aten.mm.default, aten.bmm.default, aten.mul.Tensor)
_ZERO_IN_FIRST = (
    *(aten.expand.default, aten.reshape.default, aten.t.default, aten.transpose.int),
    *(aten.permute.default, aten.unsqueeze.default, aten.squeeze.dim, aten.clone.default, aten.neg.default),
    *(aten.mul.Scalar, aten.div.Tensor, aten.div.Scalar, aten.sum.dim_IntList, aten.sum.default),
)
