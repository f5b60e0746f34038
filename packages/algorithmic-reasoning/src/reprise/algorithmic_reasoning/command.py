"""``reprise algorithmic-reasoning``: the steps of an algorithm on one's own graph."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from reprise.core import RepriseError

app = typer.Typer(no_args_is_help=True, help="Twelve graph algorithms, step by step, on one's own graph.")

GraphFile = Annotated[
    Path, typer.Argument(metavar="GRAPH", help="Lines `node node [weight]`, or a matrix in a .csv or .npy file.")
]


@app.callback()
def _root() -> None:
    pass


@app.command()
def trace(
    path: GraphFile,
    algorithm: Annotated[str, typer.Option(help="One of the twelve, such as bfs.", metavar="TEXT")] = "bfs",
    source: Annotated[str | None, typer.Option(help="Node to start from.", metavar="NODE")] = None,
    directed: Annotated[bool, typer.Option("--directed", help="Lines are edges in one direction.")] = False,
    draw: Annotated[Path | None, typer.Option(help="Folder for a PNG of every step.", metavar="FOLDER")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False,
) -> None:
    """Run an algorithm; print its answer, node by node, and draw its steps where asked to."""
    from reprise.algorithmic_reasoning.own_graph import trace as run

    try:
        names, matrix = _load(path, directed)
        start = None if source is None else _place(names, source)
        found = run(algorithm, matrix, start)
    except (OSError, ValueError, TypeError) as error:
        raise RepriseError(str(error)) from error
    outputs = {name: values[0].tolist() for name, values in found.outputs.items()}
    if draw is not None:
        _draw(found, names, draw)
    if as_json:
        answer = {"algorithm": algorithm, "nodes": names, "steps": found.steps, "outputs": outputs}
        typer.echo(json.dumps(answer))
        return
    typer.echo(f"{algorithm} on {len(names)} nodes: {found.steps} steps")
    for name, values in outputs.items():
        for node, value in zip(names, values):
            typer.echo(f"  {name} {node}: {value if isinstance(value, list) else _named(names, name, value)}")


def _named(names: list[str], probe: str, value: int) -> str:
    """Pointers by the name of the node they point to; masks as they are."""
    return names[value] if probe in ("pi", "topo", "scc_id") else str(value)


def _place(names: list[str], node: str) -> int:
    if node not in names:
        raise ValueError(f"source must be a node of the graph, got {node!r}")
    return names.index(node)


def _load(path: Path, directed: bool) -> tuple[list[str], Any]:
    import numpy as np

    if path.suffix in (".csv", ".npy"):
        matrix = (
            np.load(path, allow_pickle=False) if path.suffix == ".npy" else np.loadtxt(path, delimiter=",", ndmin=2)
        )
        return [str(node) for node in range(len(matrix))], matrix
    edges = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        parts = line.split("#")[0].split()
        if not parts:
            continue
        if len(parts) not in (2, 3):
            raise ValueError(f"line {number} of {path.name} must be `node node [weight]`, got {line!r}")
        try:
            edges.append((parts[0], parts[1], float(parts[2]) if len(parts) == 3 else 1.0))
        except ValueError as error:
            raise ValueError(f"line {number} of {path.name} must end with a number, got {line!r}") from error
    names = list(dict.fromkeys(node for first, second, _ in edges for node in (first, second)))
    matrix = np.zeros((len(names), len(names)))
    for first, second, weight in edges:
        matrix[names.index(first), names.index(second)] = weight
        if not directed:
            matrix[names.index(second), names.index(first)] = weight
    return names, matrix


def _draw(found: Any, names: list[str], folder: Path) -> None:
    try:
        from reprise.algorithmic_reasoning.viewer import frames
    except ModuleNotFoundError as error:
        raise RepriseError("drawing needs networkx: install reprise-algorithmic-reasoning[viewer]") from error
    folder.mkdir(parents=True, exist_ok=True)
    for step, figure in enumerate(frames(found, labels=names)):
        figure.savefig(folder / f"step_{step:04d}.png", dpi=120)
