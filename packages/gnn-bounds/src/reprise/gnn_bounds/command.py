"""``reprise gnn-bounds``: norms and diffusions of one's own graphs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from reprise.core import RepriseError

app = typer.Typer(no_args_is_help=True, help="Spectral norms of graph sets, and which diffusion to choose.")

Source = Annotated[Path, typer.Argument(metavar="SET", help="A TU set: NAME.txt, or a folder NAME with NAME_A.txt.")]
Features = Annotated[str, typer.Option(help="degree, tag or constant.", metavar="TEXT")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]


@app.callback()
def _root() -> None:
    pass


@app.command()
def norms(
    path: Source,
    features: Features = "degree",
    depth: Annotated[int, typer.Option(help="Layers l, read-out included.", metavar="INT")] = 3,
    top: Annotated[int, typer.Option(help="How many dominating graphs to name.", metavar="INT")] = 5,
    as_json: AsJson = False,
) -> None:
    """Maximum degree, spectral norms of every diffusion, and the graphs that set the bound."""
    from reprise.gnn_bounds.per_graph import dominant_graphs
    from reprise.gnn_bounds.statistics import graph_statistics

    graphs = _load(path, features)
    try:
        found = {kind: graph_statistics(graphs, kind) for kind in ("adjacency", "gcn", "mean", "gin")}
        worst = dominant_graphs(found["adjacency"], depth=depth, top=top)
    except (ValueError, TypeError) as error:
        raise RepriseError(str(error)) from error
    result = {
        "graphs": len(graphs),
        "max_degree": found["adjacency"].max_degree,
        "spectral": {kind: stats.max_spectral for kind, stats in found.items()},
        "feature_spectral": float(found["gcn"].feature_spectral.max()),
        "feature_row": float(found["gcn"].feature_row.max()),
        "dominant": [{"graph": int(i), "gain": float(g)} for i, g in zip(worst.order, worst.gain)],
    }
    if as_json:
        typer.echo(json.dumps(result))
        return
    typer.echo(f"{len(graphs)} graphs, maximum degree {result['max_degree']}")
    for kind, stats in found.items():
        typer.echo(f"  largest ‖P‖₂, {kind:9s} {stats.max_spectral:10.4g}")
    for index, gain in zip(worst.order, worst.gain):
        typer.echo(f"  without graph {index} (and those above) the bound with P = A is {gain:.3g} times smaller")


@app.command()
def choose(
    path: Source,
    features: Features = "degree",
    depth: Annotated[int, typer.Option(help="Layers l, read-out included.", metavar="INT")] = 3,
    epochs: Annotated[int, typer.Option(help="Of Adam.", metavar="INT")] = 50,
    trials: Annotated[int, typer.Option(help="Splits and initialisations.", metavar="INT")] = 1,
    seed: Annotated[int, typer.Option(help="Of all of it.", metavar="INT")] = 0,
    drop: Annotated[
        float, typer.Option("--drop-hubs", help="Try also without this share of nodes.", metavar="SHARE")
    ] = 0.0,
    loops: Annotated[
        float, typer.Option("--self-loops", help="Try also with self-loops of this weight.", metavar="WEIGHT")
    ] = 0.0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.", metavar="TEXT")] = "auto",
    as_json: AsJson = False,
) -> None:
    """Train one network per diffusion; print bound, Hessian measure, gap and accuracy of each."""
    from reprise.gnn_bounds.chooser import choose_diffusion
    from reprise.gnn_bounds.edits import add_self_loops, drop_hubs

    graphs = _load(path, features)
    edits = {f"without {drop:g} of nodes": lambda graph: drop_hubs(graph, drop)} if drop else {}
    edits |= {f"self-loops of {loops:g}": lambda graph: add_self_loops(graph, loops)} if loops else {}
    training: dict[str, Any] = {"depth": depth, "epochs": epochs, "trials": trials, "seed": seed}
    try:
        table = choose_diffusion(graphs, edits=edits, device=_device(device), **training)
    except (ValueError, TypeError) as error:
        raise RepriseError(str(error)) from error
    typer.echo(table.to_json(orient="records") if as_json else table.to_string(index=False, float_format="%.3g"))


def _load(path: Path, features: str) -> Any:
    from reprise.gnn_bounds.graphs import with_features
    from reprise.gnn_bounds.tu import load_tu

    try:
        return with_features(load_tu(path), features)  # type: ignore[arg-type]
    except (OSError, ValueError) as error:
        raise RepriseError(str(error)) from error


def _device(name: str) -> str:
    import torch

    if name not in ("auto", "cpu", "cuda"):
        raise RepriseError(f"--device must be auto, cpu or cuda, got {name!r}")
    if name == "cuda" and not torch.cuda.is_available():
        raise RepriseError("--device cuda was asked for, but there is no GPU here")
    return ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name
