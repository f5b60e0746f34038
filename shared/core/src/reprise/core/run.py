"""``reprise run``: live progress, then the table of claims and where everything lies."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from .claims import Verdict
from .errors import RepriseError
from .paper import Paper
from .record import ClaimResult, Record, Run
from .registry import split
from .runner import Observer, resolve_device, result_folder, run_experiment
from .store import FinishedCell
from .tables import MARK, measured, number, refuse_other_papers, tally, write_results

_COLOUR = {Verdict.REPRODUCED: "green", Verdict.NOT_REPRODUCED: "red", Verdict.NOT_RUN: "dim"}


def run_target(
    target: str,
    *,
    scale: str,
    device: str,
    workers: int | None,
    seed: int,
    dask: str | None,
    out: Path | None,
    fresh: bool,
    as_json: bool,
) -> bool:
    """Run ``paper`` or ``paper/experiment``; True if every claim that was run at this scale was reproduced.

    Raises
    ------
    RepriseError
        If the call is wrong or something is missing.
    """
    paper, names = split(target)
    out = out or Path("results") / paper.slug
    refuse_other_papers(out, paper.slug)
    names = _offered(paper, names, scale, named="/" in target)
    for name in names:  # what is missing is said before the first hour of computing, not after
        for data_set in paper.experiment(name).data.get(scale, ()):
            data_set.find()
    if workers is not None and workers > 1 and resolve_device(device, paper) == "cuda" and dask is None:
        print("one GPU measures one cell after another: --workers has no effect", file=sys.stderr)
    records: list[Record] = []
    try:
        for name in names:
            with observed(name) as observer:
                record = run_experiment(
                    paper,
                    name,
                    scale=scale,
                    out=out,
                    seed=seed,
                    device=device,
                    workers=workers,
                    dask=dask,
                    fresh=fresh,
                    observer=observer,
                )
            records.append(record)
    finally:
        # An experiment that fails must not hide what those before it found.
        if records:
            _show(records, paper.slug, out, scale, as_json)
    results = write_results(out, paper.experiments)
    if not as_json:
        print(f"  {results}\nA page of it all: reprise report {out}")
    return reproduced(records)


def _offered(paper: Paper, names: tuple[str, ...], scale: str, *, named: bool) -> tuple[str, ...]:
    """Return the experiments that have this scale; one that was named must have it."""
    if named:
        paper.experiment(names[0]).settings(scale)
        return names
    offered = tuple(name for name in names if scale in paper.experiment(name).scales)
    if not offered:
        scales = {s for name in names for s in paper.experiment(name).scales}
        raise RepriseError(f"{paper.slug} has no scale {scale!r}: choose among {', '.join(sorted(scales))}")
    for name in names:
        if name not in offered:
            print(f"{name} has no scale {scale}: left out", file=sys.stderr)
    return offered


def _show(records: list[Record], slug: str, out: Path, scale: str, as_json: bool) -> None:
    claims = [claim for record in records for claim in record.claims]
    if as_json:
        print(Run(paper=slug, claims=claims, records=records).model_dump_json(indent=1))
        return
    Console().print(claims_view(claims))
    print(tally(claims))
    for record in records:
        folder = result_folder(out, record.experiment, scale)
        print(f"  {folder / 'figure.png'}\n  {folder / 'record.json'}")


def reproduced(records: list[Record]) -> bool:
    """Return True unless a claim was measured and did not come out."""
    return all(claim.verdict != Verdict.NOT_REPRODUCED for record in records for claim in record.claims)


def claims_view(claims: list[ClaimResult]) -> Table:
    """Return the claims as a table for the terminal."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("claim", no_wrap=True)
    table.add_column("what the paper says", min_width=16)
    table.add_column("where", min_width=8)
    table.add_column("paper", min_width=5)
    table.add_column(Text("measured [95 %]"), min_width=12)
    table.add_column("verdict", min_width=12)
    for claim in claims:
        asked = f"\n(asked: {claim.expected})" if claim.expected else ""
        tried = f"\n({claim.tried})" if claim.tried else ""
        # As Text, so that brackets in what an author wrote are shown and not read as markup.
        table.add_row(
            Text(claim.id),
            Text(f"{claim.sentence} ({claim.level})"),
            Text(claim.source),
            Text(number(claim.paper)),
            Text(measured(claim) + asked),
            Text(f"{MARK[claim.verdict]} {claim.verdict.value}{tried}", style=_COLOUR[claim.verdict]),
        )
    return table


@contextmanager
def observed(name: str) -> Iterator[Observer]:
    """Show the progress of one experiment on standard error: a live bar on a terminal, two lines elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _plain(name)
        return
    columns = (
        TextColumn("{task.description:<22}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        cells = progress.add_task(name, total=None)
        inner = progress.add_task("  within the cell", total=None, visible=False)

        def started(total: int, done: int) -> None:
            progress.update(cells, total=total, completed=done)

        def finished(cell: FinishedCell) -> None:
            progress.advance(cells)
            progress.update(inner, visible=False)

        def within(done: int, total: int) -> None:
            progress.update(inner, completed=done, total=total, visible=done < total)

        yield Observer(started, finished, within)


def _plain(name: str) -> Observer:
    count = [0, 0]

    def started(total: int, done: int) -> None:
        count[:] = [done, total]
        kept = f", {done} of them kept from before" if done else ""
        print(f"{name}: {total} cells{kept}", file=sys.stderr)

    def finished(cell: FinishedCell) -> None:
        count[0] += 1
        if count[0] == count[1] or count[0] % max(count[1] // 10, 1) == 0:
            print(f"{name}: {count[0]} of {count[1]} cells", file=sys.stderr)

    return Observer(started, finished)
