"""The command ``reprise``. Nothing heavy is imported before a verb needs it."""

from __future__ import annotations

import os
import sys
import traceback
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from .errors import Interrupted, RepriseError


class _WithPackages(TyperGroup):
    """Adds the sub-commands that packages offer through the entry points ``reprise.commands``; loads what is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [*super().list_commands(ctx), *sorted(_package_commands().keys() - self.commands.keys())]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        entry = _package_commands().get(cmd_name)
        if entry is None or cmd_name in self.commands:
            return super().get_command(ctx, cmd_name)
        summary = entry.dist.metadata["Summary"] if entry.dist else ""
        return TyperGroup(name=cmd_name, help=summary)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        entry = _package_commands().get(args[0])
        if entry is None or args[0] in self.commands:
            return super().resolve_command(ctx, args)
        return args[0], typer.main.get_command(entry.load()), args[1:]


def _package_commands() -> dict[str, metadata.EntryPoint]:
    return {entry.name: entry for entry in metadata.entry_points(group="reprise.commands")}


app = typer.Typer(
    cls=_WithPackages,
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich would take most of the time that --help takes
    help="Repeat the experiments of a paper, see what came out beside what was printed, and use its method.",
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
Target = Annotated[str, typer.Argument(metavar="PAPER[/EXPERIMENT]")]
Slug = Annotated[str, typer.Argument(metavar="PAPER")]


@app.callback()
def _root(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command("list")
def list_papers(as_json: Json = False) -> None:
    """Show the papers, their experiments, what is recorded."""
    from .overview import list_papers as show

    show(as_json)


@app.command()
def info(target: Target, as_json: Json = False) -> None:
    """Show claims with sources, settings per scale, data."""
    from .overview import info as show

    show(target, as_json)


@app.command()
def run(
    target: Target,
    scale: Annotated[str, typer.Option(help="smoke, laptop, gpu or paper.")] = "laptop",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    workers: Annotated[int | None, typer.Option(help="Processes; one per core unless given.")] = None,
    seed: Annotated[int, typer.Option(help="Base of all seeds.")] = 0,
    dask: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Scheduler of a Dask cluster.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the results; results/PAPER unless given.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Measure again what is already there.")] = False,
    as_json: Json = False,
) -> None:
    """Run experiments, or go on with a stopped run.

    Ends with 0 if every claim that was run is reproduced, with 1 if one is not, with 2 if the call was wrong or
    something is missing. What is finished is kept at every moment.
    """
    from .run import run_target

    reproduced = run_target(
        target,
        scale=scale,
        device=device,
        workers=workers,
        seed=seed,
        dask=dask,
        out=out,
        fresh=fresh,
        as_json=as_json,
    )
    raise typer.Exit(0 if reproduced else 1)


@app.command()
def report(
    folders: Annotated[list[Path] | None, typer.Argument(help="Folders with records; results/ unless given.")] = None,
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("reprise-report.html"),
    as_json: Json = False,
) -> None:
    """Write one HTML page of everything that was run."""
    from .report import write_report

    write_report(folders or [], out, as_json)


@app.command()
def cite(
    slug: Slug,
    cff: Annotated[bool, typer.Option("--cff", help="Print the CITATION.cff instead of BibTeX.")] = False,
    as_json: Json = False,
) -> None:
    """Print how to cite a paper and its reproduction."""
    from .cite import print_citation

    print_citation(slug, cff=cff, as_json=as_json)


@app.command()
def data(
    slug: Slug,
    fetch: Annotated[bool, typer.Option("--fetch", help="Fetch what may be fetched.")] = False,
    as_json: Json = False,
) -> None:
    """Show which files a paper reads and where they lie."""
    from .overview import show_data

    show_data(slug, fetch=fetch, as_json=as_json)


@app.command()
def verify(
    records: Annotated[
        list[Path], typer.Argument(metavar="RECORD...", help="record.json, or the folder that holds it.")
    ],
    workers: Annotated[int | None, typer.Option(help="Processes; one per core unless given.")] = None,
    tolerance: Annotated[float, typer.Option(help="Relative difference that numbers may have.")] = 1e-6,
    as_json: Json = False,
) -> None:
    """Run a record again and compare number by number.

    Ends with 0 if every verdict and every number agrees, else with 1.
    """
    from .verify import verify_records

    raise typer.Exit(0 if verify_records(records, workers=workers, tolerance=tolerance, as_json=as_json) else 1)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Show versions, devices, threads, what is missing."""
    from .doctor import diagnose

    raise typer.Exit(0 if diagnose(as_json) else 2)


@app.command()
def schema(
    of: Annotated[str, typer.Argument(metavar="KIND", help="record, or run (what `run --json` prints).")] = "record",
) -> None:
    """Print the JSON schema of a record."""
    from .overview import print_schema

    print_schema(of)


@app.command(hidden=True)
def readme(path: Path, results: Path) -> None:
    """Put the table of claims of recorded results into a README."""
    from .tables import fill_readme

    fill_readme(path, results)


def main() -> None:
    """Run the command; what goes wrong is one sentence on standard error and status 2, a traceback only on request."""
    os.environ.setdefault("MPLBACKEND", "agg")  # figures go to files; no window system is needed
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        status = app(args=arguments, standalone_mode=False, prog_name="reprise")
    except SystemExit:
        # The reader of our output has gone (`reprise list | head`): nothing is wrong.
        sys.exit(0)
    except BaseException as error:
        if "--debug" in sys.argv:
            traceback.print_exc()
        print(f"reprise: {_sentence(error)}", file=sys.stderr)
        sys.exit(130 if isinstance(error, (Interrupted, KeyboardInterrupt, typer.Abort)) else 2)
    if status == 130:
        print("reprise: stopped; what was finished is kept, and the same command goes on from there", file=sys.stderr)
    sys.exit(status if status in (1, 2, 130) else 0)


def _sentence(error: BaseException) -> str:
    if isinstance(error, TyperException):
        message = error.format_message()
    elif isinstance(error, RepriseError):
        message = str(error)
    elif isinstance(error, (KeyboardInterrupt, typer.Abort)):
        message = "stopped"
    else:
        message = f"an unexpected {type(error).__name__}: {error}; --debug shows where"
    return " ".join(message.split())
