"""``reprise run``: live progress, then the table of claims and where everything lies."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from .claims import Verdict
from .errors import RepriseError
from .record import ClaimResult, Record, Run
from .registry import split
from .runner import Observer, result_folder, run_experiment
from .store import FinishedCell
from .tables import MARK, measured, number, tally, write_results

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
    if "/" not in target:
        offered = tuple(name for name in names if scale in paper.experiment(name).scales)
        if not offered:
            scales = {s for name in names for s in paper.experiment(name).scales}
            raise RepriseError(f"{paper.slug} has no scale {scale!r}: choose among {', '.join(sorted(scales))}")
        names = offered
    records = []
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
    results = write_results(out, paper.experiments)
    claims = [claim for record in records for claim in record.claims]
    if as_json:
        print(Run(paper=paper.slug, claims=claims, records=records).model_dump_json(indent=1))
    else:
        console = Console()
        console.print(claims_view(claims))
        console.print(tally(claims), style="bold")
        for record in records:
            folder = result_folder(out, record.experiment, scale)
            for name in ("figure.png", "record.json"):
                console.print(f"  {folder / name}", soft_wrap=True, highlight=False)
        console.print(f"  {results}", soft_wrap=True, highlight=False)
        console.print(f"A page of it all: reprise report {out}", soft_wrap=True, highlight=False)
    return reproduced(records)


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
    table.add_column("measured \\[95 %]", min_width=12)
    table.add_column("verdict", min_width=12)
    for claim in claims:
        table.add_row(
            claim.id,
            claim.sentence,
            claim.source,
            number(claim.paper),
            f"{measured(claim)}".replace("[", "\\[") + (f"\n({claim.expected})" if claim.expected else ""),
            f"[{_COLOUR[claim.verdict]}]{MARK[claim.verdict]} {claim.verdict.value}[/]",
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
