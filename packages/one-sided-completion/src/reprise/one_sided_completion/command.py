"""``reprise one-sided-completion``: the method on one's own files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from reprise.core import RepriseError

app = typer.Typer(no_args_is_help=True, help="Learn the second moment of ratings from a few entries per row.")

Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]


@app.callback()
def _root() -> None:
    pass


@app.command()
def fit(
    ratings: Annotated[
        Path, typer.Argument(metavar="RATINGS", help="MovieLens, Amazon, csv, sparse .npz; or a moment.")
    ],
    out: Annotated[Path, typer.Option(help="Where to write the moment and its factor.", metavar="MOMENT.npz")],
    rank: Annotated[int, typer.Option(help="Columns of the factor.", metavar="INT")] = 10,
    format: Annotated[str, typer.Option(help="Of the file; auto goes by its first line.", metavar="TEXT")] = "auto",
    duplicates: Annotated[
        str, typer.Option(help="error, first, last or mean, for items rated twice.", metavar="TEXT")
    ] = "error",
    weights: Annotated[str, typer.Option(help="uniform, counts or inverse-variance.", metavar="TEXT")] = "uniform",
    max_iter: Annotated[int, typer.Option(help="Upper bound on the steps.", metavar="INT")] = 10_000,
    as_json: Json = False,
) -> None:
    """Estimate the second moment of a file of ratings, complete it, and write both."""
    from reprise.one_sided_completion.imputation import impute

    _writable(out)
    moment, items = _mended(lambda: _read(ratings, format, duplicates))
    result = _mended(lambda: impute(moment, rank, weights=weights, max_iter=max_iter))  # type: ignore[arg-type]
    _save(out, moment, items, factor=result.factor)
    _report(
        as_json,
        {
            "out": str(out),
            "rows": moment.rows,
            "columns": moment.dimension,
            "empty_columns": len(moment.empty_columns),
            "seen": moment.seen_fraction,
            "rank": rank,
            "steps": result.steps,
            "converged": result.converged,
            "objective": float(result.history[-1]),
        },
        "{out}: {rows} rows, {columns} columns, {seen:.1%} of the pairs seen; rank {rank} after {steps} steps",
    )


@app.command()
def merge(
    moments: Annotated[list[Path], typer.Argument(metavar="MOMENT.npz...", help="Files that `fit` wrote.")],
    out: Annotated[Path, typer.Option(help="Where to write their sum.", metavar="MOMENT.npz")],
    noise_std: Annotated[float, typer.Option(help="Gaussian noise added to sums and counts.", metavar="FLOAT")] = 0.0,
    seed: Annotated[int, typer.Option(help="Of the noise.", metavar="INT")] = 0,
    as_json: Json = False,
) -> None:
    """Add up moments of different rows; items need not be the same. `fit` on the sum completes it."""
    from reprise.one_sided_completion.release import release
    from reprise.one_sided_completion.storage import load_moment, merge_moments

    _writable(out)
    moment, items = _mended(lambda: merge_moments([load_moment(path) for path in moments]))
    if noise_std:
        moment = _mended(lambda: release(moment, noise_std=noise_std, seed=seed))
    _save(out, moment, items)
    _report(
        as_json,
        {"out": str(out), "rows": moment.rows, "columns": moment.dimension, "seen": moment.seen_fraction},
        "{out}: {rows} rows, {columns} columns, {seen:.1%} of the pairs seen",
    )


def _read(path: Path, format: str, duplicates: str) -> tuple[Any, Any]:
    from reprise.one_sided_completion.loaders import load_ratings
    from reprise.one_sided_completion.moment import second_moment
    from reprise.one_sided_completion.storage import load_moment

    if path.suffix == ".npz" and format == "auto":
        try:
            return load_moment(path)
        except ValueError:
            pass  # not a moment: a sparse matrix of ratings, or neither, which the loader will say
    ratings = load_ratings(path, format=format, duplicates=duplicates)  # type: ignore[arg-type]
    return second_moment(ratings.matrix), ratings.items


def _mended(work: Any) -> Any:
    try:
        return work()
    except (ValueError, TypeError, OSError) as error:
        raise RepriseError(str(error)) from error


def _writable(out: Path) -> None:
    if out.suffix != ".npz":
        raise RepriseError(f"--out must end in .npz, got {out}")


def _save(out: Path, moment: Any, items: Any, **more: Any) -> None:
    from reprise.one_sided_completion.storage import save_moment

    try:
        save_moment(out, moment, items=items, **more)
    except OSError as error:
        raise RepriseError(f"cannot write {out}: {error.strerror}") from error


def _report(as_json: bool, result: dict[str, Any], sentence: str) -> None:
    typer.echo(json.dumps(result) if as_json else sentence.format(**result))
