"""``reprise matrix-sensing``: the method on one's own files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from reprise.core import RepriseError

app = typer.Typer(no_args_is_help=True, help="Recover a low-rank matrix from linear measurements.")


@app.callback()
def _root() -> None:
    pass


@app.command()
def fit(
    measurements: Annotated[
        Path,
        typer.Argument(metavar="A.npy", help="Matrices, shape (m, d, d), or vectors x of measurements x xᵀ, (m, d)."),
    ],
    targets: Annotated[Path, typer.Argument(metavar="y.npy", help="What was measured, shape (m,).")],
    out: Annotated[Path, typer.Option(help="Where to write the matrix, shape (d, d).", metavar="X.npy")],
    steps: Annotated[int, typer.Option(help="Upper bound on the steps.", metavar="INT")] = 5000,
    tolerance: Annotated[
        float, typer.Option(help="Stop at this share of Σ y²; the share of noise.", metavar="FLOAT")
    ] = 1e-8,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.", metavar="TEXT")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False,
) -> None:
    """Recover the matrix behind A.npy and y.npy by gradient descent from a small start, and write it to X.npy."""
    import warnings

    import numpy as np

    from reprise.matrix_sensing.estimator import ConvergenceWarning, MatrixSensing

    A, y = _load(measurements), _load(targets)
    if out.suffix != ".npy":
        raise RepriseError(f"--out must end in .npy, got {out}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # said below, in words or in JSON
            model = MatrixSensing(steps=steps, tolerance=tolerance, device=device).fit(A, y)
    except (ValueError, TypeError) as error:
        raise RepriseError(str(error)) from error
    try:
        np.save(out, model.matrix_)
    except OSError as error:
        raise RepriseError(f"cannot write {out}: {error.strerror}") from error
    last = model.path_.history[-1]
    result = {
        "out": str(out),
        "dimension": len(model.matrix_),
        "rank": model.rank_,
        "steps": last["step"],
        "relative_loss": last["relative_loss"],
        "converged": model.converged_,
    }
    if as_json:
        typer.echo(json.dumps(result))
    else:
        typer.echo(
            f"{out}: a matrix of dimension {result['dimension']} and rank {result['rank']}; "
            f"after {result['steps']} steps it leaves {result['relative_loss']:.2g} of Σ y² unexplained"
            + ("" if model.converged_ else f", more than the tolerance of {tolerance:g}")
        )


def _load(path: Path) -> Any:
    """The array of a .npy file; pickled objects are refused."""
    import numpy as np

    try:
        return np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise RepriseError(f"there is no file {path}") from error
    except (OSError, ValueError, EOFError) as error:
        raise RepriseError(f"{path} is no .npy file of numbers: {error}") from error
