"""What an algorithm sees at each of its steps, drawn on the graph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import networkx as nx  # type: ignore[import-untyped]
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from reprise.algorithmic_reasoning.probes import Probe, spec
from reprise.algorithmic_reasoning.trajectories import Trajectories
from reprise.algorithmic_reasoning.validation import integer

Positions = Mapping[int, Sequence[float]]

_REST, _SEEN, _DONE = "#ffffff", "#E69F00", "#56B4E9"  # of nodes; told apart in grey too
_HERE, _POINTER, _EDGE = "#D55E00", "#0072B2", "#bbbbbb"
_DONE_MASKS = ("mark", "reach_h", "msk", "is_cut_h", "mask_u")  # masks of nodes, of which the first there is shown
_VALUES = ("d", "key")  # numbers of nodes, of which the first there is written


def draw(
    trajectories: Trajectories,
    step: int,
    *,
    graph: int = 0,
    positions: Positions | None = None,
    labels: Sequence[object] | None = None,
    axes: Axes | None = None,
) -> Figure:
    """One step of an algorithm on its graph.

    Parameters
    ----------
    trajectories : Trajectories
        Of `trace`, say.
    step : int
        From 0 to the graph's length − 1.
    graph : int
        Which of the graphs.
    positions : mapping of int to (x, y), optional
        Of the nodes; by `networkx.spring_layout` when not given, the same at every step.
    labels : sequence, optional
        Names of the nodes; 0 to N − 1 when not given.
    axes : Axes, optional
        To draw on; those of a new figure when not given.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If there is no such step or graph, or there are not as many labels as nodes.

    Notes
    -----
    White nodes are yet to be seen, orange ones are open or waiting, blue ones done; a thick rim is where the algorithm
    stands. Blue arrows are its pointers to predecessors (or successors, for a topological order), thick edges those of
    its mask (of Floyd and Warshall, pairs whose distance is known); numbers are distances, keys or times of discovery.

    Examples
    --------
    >>> from reprise.algorithmic_reasoning import trace
    >>> figure = draw(trace("bfs", [[0, 1], [1, 0]], source=0), 1)
    >>> figure.axes[0].get_title()
    'bfs: step 1 of 2'
    """
    integer("graph", graph, minimum=0, maximum=len(trajectories) - 1, limit="the number of graphs − 1")
    length = int(trajectories.lengths[graph])
    integer("step", step, minimum=0, maximum=length - 1, limit=f"the graph's length − 1 ({length - 1})")
    nodes = trajectories.nodes
    names = [str(label) for label in (range(nodes) if labels is None else labels)]
    if len(names) != nodes:
        raise ValueError(f"labels must be one for each of {nodes} nodes, got {len(names)}")
    matrix = trajectories.inputs["A"][graph].numpy()
    directed = bool((matrix != matrix.T).any())
    network: Any = nx.from_numpy_array(matrix, create_using=nx.DiGraph if directed else nx.Graph)
    places: Any = layout(trajectories, graph=graph) if positions is None else positions
    probes = {name: probe for name, probe in spec(trajectories.name).items() if probe.stage == "hint"}
    hints = {name: trajectories.hints[name][step, graph] for name in probes}
    if axes is None:
        axes = Figure(figsize=(4.5, 4.0), layout="constrained").subplots()
    strong = _mask_edges(probes, hints)
    nx.draw_networkx_edges(network, places, ax=axes, edge_color=_EDGE, arrows=directed, node_size=420)
    if strong:
        nx.draw_networkx_edges(network, places, strong, ax=axes, width=4, edge_color=_EDGE, arrows=directed)
    arrows: Any = nx.DiGraph(_pointers(probes, hints))
    arrows.add_nodes_from(range(nodes))
    nx.draw_networkx_edges(
        arrows, places, ax=axes, edge_color=_POINTER, width=1.8, node_size=420, connectionstyle="arc3,rad=0.15"
    )
    here = _here(probes, hints)
    nx.draw_networkx_nodes(
        network,
        places,
        ax=axes,
        node_size=420,
        node_color=_colours(probes, hints, nodes),
        edgecolors=[_HERE if node in here else "black" for node in range(nodes)],
        linewidths=[3.0 if node in here else 0.8 for node in range(nodes)],
    )
    value = next((hints[name] for name in _VALUES if name in hints and probes[name].location == "node"), None)
    written = names if value is None else [f"{name}\n{float(x):.2g}" for name, x in zip(names, value)]
    nx.draw_networkx_labels(network, places, dict(enumerate(written)), ax=axes, font_size=7)
    axes.set_title(f"{trajectories.name.replace('_', ' ')}: step {step} of {length - 1 if length > 1 else 0}")
    axes.set_axis_off()
    figure = axes.get_figure()
    assert isinstance(figure, Figure)
    return figure


def frames(trajectories: Trajectories, *, graph: int = 0, labels: Sequence[object] | None = None) -> Iterator[Figure]:
    """Every step of an algorithm, one figure each, nodes in the same places.

    Parameters and errors as of `draw`.
    """
    integer("graph", graph, minimum=0, maximum=len(trajectories) - 1, limit="the number of graphs − 1")
    positions = layout(trajectories, graph=graph)
    for step in range(int(trajectories.lengths[graph])):
        yield draw(trajectories, step, graph=graph, positions=positions, labels=labels)


def layout(trajectories: Trajectories, *, graph: int = 0) -> dict[int, Any]:
    """Positions of the nodes by `networkx.spring_layout`, from a seed of their own."""
    matrix = trajectories.inputs["A"][graph].numpy() != 0
    found: dict[int, Any] = nx.spring_layout(nx.from_numpy_array((matrix | matrix.T).astype(float)), seed=0)
    return found


def _colours(probes: Mapping[str, Probe], hints: Mapping[str, Tensor], nodes: int) -> list[str]:
    """White, orange or blue: by a depth-first search's own colours, or by a mask of what is done and one of a queue."""
    if "color" in hints:
        return [(_REST, _SEEN, _DONE)[state] for state in hints["color"].argmax(dim=-1).tolist()]
    done = next((name for name in _DONE_MASKS if name in hints and probes[name].location == "node"), None)
    shown = np.full(nodes, _REST, dtype=object)
    if "in_queue" in hints:
        shown[hints["in_queue"].numpy() == 1] = _SEEN
    if done is not None:
        shown[hints[done].numpy() == 1] = _DONE
    return list(shown)


def _here(probes: Mapping[str, Probe], hints: Mapping[str, Tensor]) -> set[int]:
    """Nodes that the algorithm looks at: those of one-hot hints."""
    names = ("u", "k") if "u" in hints or "k" in hints else ()
    return {int(hints[name].argmax()) for name in names if name in hints and probes[name].type == "mask_one"}


def _pointers(probes: Mapping[str, Probe], hints: Mapping[str, Tensor]) -> list[tuple[int, int]]:
    """Arrows of the pointers that become the answer."""
    for name in ("pi_h", "topo_h", "scc_id_h", "pi"):
        if name in hints and probes[name].location == "node":
            return [(node, int(to)) for node, to in enumerate(hints[name]) if int(to) != node]
    return []


def _mask_edges(probes: Mapping[str, Probe], hints: Mapping[str, Tensor]) -> list[tuple[int, int]]:
    """Edges of the mask that becomes the answer."""
    for name in ("in_mst_h", "is_bridge_h", "msk"):
        if name in hints and probes[name].location == "edge":
            return [(int(i), int(j)) for i, j in np.argwhere(hints[name].numpy() == 1) if i < j]
    return []
