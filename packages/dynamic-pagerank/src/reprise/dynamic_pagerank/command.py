"""``reprise dynamic-pagerank``: follow a stream of edges from a file or from standard input."""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from reprise.core import RepriseError

if TYPE_CHECKING:
    from reprise.dynamic_pagerank.events import EventList
    from reprise.dynamic_pagerank.pagerank import DynamicPageRank

app = typer.Typer(no_args_is_help=True, help="Personalized PageRank of a graph that changes.")


@app.callback()
def _root() -> None:
    pass


@app.command()
def stream(
    edges: Annotated[
        str, typer.Argument(metavar="EDGES", help="File of lines `u v`, also gzip; - for standard input.")
    ],
    source: Annotated[str | None, typer.Option(help="Node from which scores are computed.", metavar="NODE")] = None,
    target: Annotated[str | None, typer.Option(help="Node to which scores are computed.", metavar="NODE")] = None,
    top: Annotated[int, typer.Option(help="How many nodes to show.", min=1)] = 10,
    every: Annotated[int, typer.Option(help="Show them after so many lines; they are one batch.", min=1)] = 10_000,
    alpha: Annotated[float, typer.Option(help="Probability of stopping before each step.")] = 0.15,
    epsilon: Annotated[float, typer.Option(help="Error bound, per degree from a source.")] = 1e-6,
    directed: Annotated[bool, typer.Option("--directed", help="Read u v as an edge from u to v only.")] = False,
    columns: Annotated[
        str | None, typer.Option(help="What the columns hold, such as u,v,sign,_ or u,v,weight,time.")
    ] = None,
    multi: Annotated[str, typer.Option(help="Repeated edges: ignore, error, or weight (weights add up).")] = "ignore",
    window: Annotated[
        float | None, typer.Option(help="Delete what has not come for so long, in the unit of the times.")
    ] = None,
    save: Annotated[Path | None, typer.Option(help="Write graph and state in the end, .npz.")] = None,
    animation: Annotated[Path | None, typer.Option(help="Write how the scores moved, .gif.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per report.")] = False,
) -> None:
    """Follow a stream of edges and print the nodes of highest score as the graph grows.

    A malformed line or an impossible event ends the command; nothing of its batch is applied.
    """
    from reprise.dynamic_pagerank.graph import DynamicGraph
    from reprise.dynamic_pagerank.pagerank import DynamicPageRank
    from reprise.dynamic_pagerank.snap import chunked
    from reprise.dynamic_pagerank.trajectory import Trajectory
    from reprise.dynamic_pagerank.window import SlidingWindow

    for option, path in (("--save", save), ("--animation", animation)):
        # Before the stream, not after hours of it.
        if path is not None and not path.parent.is_dir():
            raise RepriseError(f"{option} must name a file in a folder that exists, got {path}")
    named = None if columns is None else [name.strip() for name in columns.split(",")]
    try:
        graph = DynamicGraph(directed=directed, weighted=multi == "weight")
        # All labels are read as text: what one chunk takes for numbers another one might not.
        ranked = DynamicPageRank(graph, source=source, target=target, alpha=alpha, epsilon=epsilon)
        sliding = None if window is None else SlidingWindow(window, directed=directed, weights=multi == "weight")
        seen, lines = Trajectory(top), 0
        with _opened(edges) as file, _shown(ranked, top, as_json) as show:
            for chunk in chunked(file, every, columns=named, name="standard input" if edges == "-" else edges):
                lines += len(chunk)
                events = _as_text(chunk, keep_weights=multi == "weight")
                ranked.update(events if sliding is None else sliding.advance(events), multi=multi)
                show(lines)
                if animation is not None:
                    seen.record(lines, ranked.scores())
        if animation is not None:
            seen.animate(animation)
        if save is not None:
            ranked.save(save)
    except UnicodeDecodeError as error:
        raise RepriseError(f"{edges} must hold text in UTF-8: {error}") from error
    except (EOFError, zlib.error) as error:
        raise RepriseError(f"{edges} must hold whole gzip data: {error}") from error
    except (ValueError, TypeError) as error:
        raise RepriseError(str(error)) from error
    except OSError as error:
        raise RepriseError(f"cannot use {error.filename or edges}: {error.strerror or error}") from error


def _as_text(events: EventList, *, keep_weights: bool) -> EventList:
    import numpy as np

    from reprise.dynamic_pagerank.events import EventList

    weights = events.weights if keep_weights else np.full(len(events), np.nan)
    tails, heads = (np.asarray(ends).astype(str) for ends in (events.tails, events.heads))
    return EventList(tails, heads, events.signs, weights, events.times)


@contextmanager
def _opened(edges: str) -> Iterator[TextIO]:
    from reprise.dynamic_pagerank.snap import open_text

    if edges == "-":
        yield sys.stdin
        return
    with open_text(edges) as file:
        yield file


@contextmanager
def _shown(ranked: DynamicPageRank, top: int, as_json: bool) -> Iterator[Any]:
    """Give what shows the state: one live table on a terminal, one line or JSON object per report elsewhere."""
    if as_json:
        yield lambda lines: typer.echo(json.dumps(_report(ranked, top, lines)))
        return
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        yield lambda lines: typer.echo(_line(_report(ranked, top, lines)))
        return
    from rich.live import Live

    with Live(console=console, auto_refresh=False) as live:
        yield lambda lines: live.update(_table(_report(ranked, top, lines)), refresh=True)


def _report(ranked: DynamicPageRank, top: int, lines: int) -> dict[str, Any]:
    found = ranked.top_k(top)
    return {
        "lines": lines,
        "updates": ranked.stats.updates,
        "nodes": ranked.graph.number_of_nodes(),
        "edges": ranked.graph.number_of_edges(),
        "work": ranked.stats.work,
        "top": [
            {"node": label, "score": float(score), "low": float(low), "high": float(high), "place_certain": bool(sure)}
            for label, score, low, high, sure in zip(
                found.labels, found.scores, found.low, found.high, found.place_certain
            )
        ],
    }


def _line(report: dict[str, Any]) -> str:
    best = "  ".join(f"{row['node']} {row['score']:.4g}" for row in report["top"])
    return f"{report['lines']:>9,} lines  {report['nodes']:>7,} nodes  {report['edges']:>9,} edges  {best}"


def _table(report: dict[str, Any]) -> Any:
    from rich.table import Table
    from rich.text import Text

    title = f"{report['lines']:,} lines: {report['nodes']:,} nodes, {report['edges']:,} edges"
    table = Table(title=title, box=None)
    for name in ("place", "node", "score", "between", "certain"):
        table.add_column(name, justify="right")
    for place, row in enumerate(report["top"], start=1):
        between = f"{row['low']:.6f} … {row['high']:.6f}"
        # As Text, so that brackets in a label are shown and not read as markup.
        sure = "✓" if row["place_certain"] else ""
        table.add_row(str(place), Text(str(row["node"])), f"{row['score']:.6f}", between, sure)
    return table
