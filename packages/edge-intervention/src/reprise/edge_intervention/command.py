"""``reprise edge-intervention``: where to cut contacts in a network of one's own."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reprise.core import RepriseError

if TYPE_CHECKING:
    from scipy import sparse

    from reprise.edge_intervention.epidemic import EpidemicResult
    from reprise.edge_intervention.mobility import MobilityNetwork

app = typer.Typer(no_args_is_help=True, help="Where to cut contacts so that an epidemic dies.")

Network = Annotated[
    Path,
    typer.Argument(metavar="NETWORK", help="File of lines `source,target,weight`, or folder of a mobility network."),
]
Share = Annotated[float | None, typer.Option("--budget", help="Share of all weight that may be removed, 0 to 1.")]
Absolute = Annotated[float | None, typer.Option("--budget-weight", help="The same as a weight, instead of --budget.")]
ObjectiveName = Annotated[
    str, typer.Option(help="spectral, next_generation (folders) or mean_field (files; needs torch).")
]
Rank = Annotated[int, typer.Option(help="How many singular values count.")]
Steps = Annotated[int, typer.Option(help="At most so many steps.")]
Psi = Annotated[float, typer.Option(help="Factor on the transmission rates of places.")]
BetaBase = Annotated[float, typer.Option(help="Transmission rate at home (folders).")]
Beta = Annotated[float, typer.Option(help="Infection probability per unit of weight and step (files).")]
Begin = Annotated[
    float | None, typer.Option("--p0", help="Share infected at the start: 0.01 (files), 0.0002 (folders).")
]
Runs = Annotated[int, typer.Option(help="Simulated epidemics.")]
Horizon = Annotated[int, typer.Option(help="Simulated steps.")]
Seed = Annotated[int, typer.Option(help="Of the simulations.")]
Model = Annotated[str, typer.Option(help="seir, sir, or (folders) sis.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda; of the mean-field objective.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]


@app.command()
def solve(
    network: Network,
    out: Annotated[Path, typer.Option(help="Where to write source,target,old,new.", metavar="FILE.csv")],
    budget: Share = None,
    budget_weight: Absolute = None,
    objective: ObjectiveName = "spectral",
    rank: Rank = 20,
    steps: Steps = 30,
    step: Annotated[str, typer.Option(help="open_loop, grid or brent.")] = "open_loop",
    mode: Annotated[str | None, typer.Option(help="paper: everything as in the published code.")] = None,
    tolerance: Annotated[float, typer.Option(help="Stop at this gap, as a share of the objective.")] = 1e-4,
    psi: Psi = 1.0,
    beta: Beta = 0.05,
    p0: Begin = None,
    device: Device = "cpu",
    report: Annotated[Path | None, typer.Option(help="Write the report as JSON.", metavar="FILE.json")] = None,
    as_json: AsJson = False,
) -> None:
    """Lower the weights of NETWORK within a budget, write the new ones, and say how good they are and could be.

    The solution has a lower bound: no other weights within the budget have a smaller objective than that.
    """
    from reprise.edge_intervention.solver import frank_wolfe

    with _one_sentence():
        loaded = _load(network)
        options: dict[str, Any] = {}
        if loaded.mobility is not None:
            options = {"beta_poi": loaded.mobility.beta_poi * psi, "population": loaded.mobility.population}
        found = frank_wolfe(
            loaded.weights,
            budget_weight,
            min(rank, min(loaded.weights.shape)),
            steps,
            objective,
            budget_fraction=budget,
            step=step,
            mode=mode,
            tol=tolerance,
            beta=beta,
            p0=0.01 if p0 is None else p0,
            device=device,
            **options,
        )
        told = _report(loaded, found)
        _write(out, loaded, found.weights)
        if report is not None:
            report.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    if as_json:
        typer.echo(json.dumps(told, ensure_ascii=False))
        return
    bound = (
        "no bound is known" if told["lower_bound"] is None else f"no better than {told['lower_bound']:.6g} is possible"
    )
    state = "" if found.converged else " (stopped at the last step, before the tolerance)"
    typer.echo(
        f"{out}: {told['edges_changed']:,} of {told['edges']:,} edges lowered, {told['removed']:.4g} of "
        f"{told['weight']:.6g} removed\n{told['method']}: from {told['initial_objective']:.6g} to "
        f"{told['objective']:.6g}, {bound}{state}"
    )


@app.command()
def simulate(
    network: Network,
    weights: Annotated[
        Path | None, typer.Option(help="New weights, as `solve` writes them.", metavar="FILE.csv")
    ] = None,
    model: Model = "seir",
    steps: Horizon = 100,
    runs: Runs = 50,
    psi: Psi = 1.0,
    beta_base: BetaBase = 0.0,
    beta: Beta = 0.05,
    p0: Begin = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Simulate an epidemic on NETWORK, or on new weights of it.

    In a file the line `source,target,weight` means that the target infects the source with that weight.
    """
    with _one_sentence():
        loaded = _load(network)
        changed = loaded.weights if weights is None else _read_new(weights, loaded)
        found = _simulate(loaded, changed, model, steps, runs, psi, beta_base, beta, p0, seed)
        told = _outcome(found)
    if as_json:
        typer.echo(json.dumps(told))
    else:
        low, high = told["interval"]
        typer.echo(
            f"{told['infections']:,.4g} [{low:,.4g}, {high:,.4g}] {told['counted']} after {steps} steps, "
            f"{told['ever_infected']:,.4g} ever infected, at most {told['peak']:,.4g} at a time; {runs} runs"
        )


@app.command()
def compare(
    network: Network,
    budget: Share = None,
    budget_weight: Absolute = None,
    rank: Rank = 20,
    solver_steps: Annotated[int, typer.Option(help="Steps of Frank-Wolfe.")] = 30,
    model: Model = "seir",
    steps: Horizon = 100,
    runs: Runs = 50,
    psi: Psi = 1.0,
    beta_base: BetaBase = 0.0,
    beta: Beta = 0.05,
    p0: Begin = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Compare Frank-Wolfe with the baselines at one budget: σ₁ and simulated infections, with common random numbers."""
    with _one_sentence():
        loaded = _load(network)
        given = {"budget": budget_weight, "budget_fraction": budget}
        rows = []
        for name, changed in _methods(loaded, given, rank, solver_steps, psi):
            from reprise.edge_intervention.spectrum import leading_triples

            found = _simulate(loaded, changed, model, steps, runs, psi, beta_base, beta, p0, seed)
            top = float(leading_triples(changed, 1).values[0])
            rows.append(
                {
                    "method": name,
                    "sigma": top,
                    "removed": float(loaded.weights.sum() - changed.sum()),
                    **_outcome(found),
                }
            )
    if as_json:
        typer.echo(json.dumps(rows))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None)
    for name in ("method", "σ₁", "removed", rows[0]["counted"], "95 % interval", "ever infected", "peak"):
        table.add_column(name, justify="left" if name == "method" else "right")
    for row in rows:
        low, high = row["interval"]
        numbers = (f"{row[key]:,.5g}" for key in ("sigma", "removed", "infections"))
        table.add_row(
            row["method"], *numbers, f"{low:,.5g} … {high:,.5g}", f"{row['ever_infected']:,.5g}", f"{row['peak']:,.5g}"
        )
    Console().print(table)


@dataclass(frozen=True)
class _Loaded:
    """A network of the user: its weights, the names of its rows and columns, and what else a folder holds."""

    weights: sparse.csr_array
    rows: list[str] | None
    columns: list[str] | None
    mobility: MobilityNetwork | None


def _load(network: Path) -> _Loaded:
    from reprise.edge_intervention.edge_lists import read_labelled_edges
    from reprise.edge_intervention.mobility import load_mobility

    if network.is_dir():
        mobility = load_mobility(network)
        return _Loaded(mobility.weekly, None, None, mobility)
    weights, labels = read_labelled_edges(network)
    return _Loaded(weights, labels, labels, None)


def _methods(loaded: _Loaded, given: dict[str, Any], rank: int, steps: int, psi: float) -> Iterator[tuple[str, Any]]:
    from reprise.edge_intervention import baselines
    from reprise.edge_intervention.solver import frank_wolfe

    W, rank = loaded.weights, min(rank, min(loaded.weights.shape))
    yield "none", W
    for name in ("uniform", "weighted", "water_fill", "degree_product", "random_edges", "k_edge_deletion"):
        yield name.replace("_", " "), getattr(baselines, name)(W, **given)
    yield "Frank-Wolfe", frank_wolfe(W, rank=rank, steps=steps, **given).weights
    if loaded.mobility is not None:
        extra: dict[str, Any] = {"beta_poi": loaded.mobility.beta_poi * psi, "population": loaded.mobility.population}
        found = frank_wolfe(W, rank=rank, steps=steps, objective="next_generation", **extra, **given)
        yield "next generation", found.weights


def _simulate(
    loaded: _Loaded,
    weights: Any,
    model: str,
    steps: int,
    runs: int,
    psi: float,
    beta_base: float,
    beta: float,
    p0: float | None,
    seed: int,
) -> EpidemicResult:
    if loaded.mobility is None:
        from reprise.edge_intervention.individual import simulate_graph

        return simulate_graph(weights, beta, 0.01 if p0 is None else p0, steps, runs, model=model, seed=seed)
    from reprise.edge_intervention.metapopulation import simulate_metapopulation

    mobility = loaded.mobility
    begin = 0.0002 if p0 is None else p0
    return simulate_metapopulation(
        weights, mobility.beta_poi * psi, mobility.population, beta_base, begin, model, steps, runs, seed=seed
    )


def _outcome(found: EpidemicResult) -> dict[str, Any]:
    import math

    low, high = found.interval()
    return {
        "counted": "infectious" if found.model == "sis" else "recovered",
        "infections": found.mean,
        "standard_error": None if math.isnan(found.se) else found.se,
        "interval": [low, high],
        "ever_infected": float(found.ever_infected.mean()),
        "peak": float(found.peak.mean()),
    }


def _report(loaded: _Loaded, found: Any) -> dict[str, Any]:
    import math

    from reprise.edge_intervention.equity import losses_by_category, losses_by_population

    W = loaded.weights
    removed = W - found.weights
    told: dict[str, Any] = {
        "method": found.method,
        "edges": int(W.nnz),
        "edges_changed": int((removed.data > 0).sum()),
        "weight": float(W.sum()),
        "removed": float(removed.sum()),
        "budget_used": found.budget_used,
        "initial_objective": found.initial_objective,
        "objective": found.objective,
        "lower_bound": None if math.isnan(found.lower_bound) else found.lower_bound,
        "gap": found.gap,
        "converged": found.converged,
        "steps": len(found.history),
    }
    if loaded.mobility is not None:
        quantiles = min(5, W.shape[0])
        by_people = losses_by_population(W, found.weights, loaded.mobility.population, quantiles)
        told["by_population"] = by_people.to_dict("records")
        by_category = losses_by_category(W, found.weights, {"listed categories": loaded.mobility.category_pois})
        told["by_category"] = by_category.to_dict("records")
    return told


def _write(out: Path, loaded: _Loaded, weights: Any) -> None:
    from reprise.edge_intervention.weights import edge_rows

    W = loaded.weights
    rows = edge_rows(W)
    import numpy as np

    new = np.asarray(weights[rows, W.indices]).ravel()
    with out.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(["source", "target", "old", "new"])
        for i, j, before, after in zip(rows.tolist(), W.indices.tolist(), W.data.tolist(), new.tolist()):
            source = i if loaded.rows is None else loaded.rows[i]
            target = j if loaded.columns is None else loaded.columns[j]
            writer.writerow([source, target, repr(before), repr(after)])


def _read_new(path: Path, loaded: _Loaded) -> Any:
    """Weights from a file that `solve` wrote for the same network."""
    import numpy as np
    from scipy import sparse

    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    W = loaded.weights
    number = {label: k for k, label in enumerate(loaded.rows or [])}
    rows, columns, values = [], [], []
    with path.open(encoding="utf-8", newline="") as opened:
        for line in csv.DictReader(opened):
            try:
                source, target, new = line["source"], line["target"], float(line["new"])
                rows.append(number[source] if number else int(source))
                columns.append(number[target] if number else int(target))
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"{path.name} must hold source,target,old,new of this network: {error}") from error
            values.append(new)
    if not rows or min(*rows, *columns) < 0 or max(rows) >= W.shape[0] or max(columns) >= W.shape[1]:
        raise ValueError(f"{path.name} must hold edges of this network of shape {W.shape}")
    return sparse.csr_array(sparse.coo_array((np.array(values), (rows, columns)), shape=W.shape))


@contextmanager
def _one_sentence() -> Iterator[None]:
    from reprise.edge_intervention.errors import ConvergenceError

    try:
        yield
    except (ValueError, TypeError, ConvergenceError, FileNotFoundError) as error:
        raise RepriseError(str(error)) from error
    except OSError as error:
        raise RepriseError(f"cannot use {error.filename}: {error.strerror or error}") from error
