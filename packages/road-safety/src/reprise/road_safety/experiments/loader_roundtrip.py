"""The published layout with its traps, written and read: what our loader makes of each, and reading by position."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from reprise.core import Claim, Context, Experiment, all_of, at_least, at_most, values, within
from reprise.core.figures import COLOURS
from reprise.road_safety.dataset import RoadDataset
from reprise.road_safety.errors import DatasetLayoutError
from reprise.road_safety.export import export_ml4roadsafety
from reprise.road_safety.layout import from_ml4roadsafety, read_tensors
from reprise.road_safety.synthetic import synthetic_city

# Files that say the same as what was written, in other forms that are about.
HARMLESS = (
    "as written",
    "features in another order",
    "latitudes under lat",
    "nodes twice",
    "node tables of tensors",
    "a folder more",
    "accidents against one-way streets",
)
MISSING, FEW_UNKNOWN, MANY_UNKNOWN = (
    "two edges without features",
    "0.5 % of accidents astray",
    "5 % of accidents astray",
)
CASES = (*HARMLESS, MISSING, FEW_UNKNOWN, MANY_UNKNOWN)


@dataclass(frozen=True)
class Settings:
    """A small synthetic state per trial."""

    nodes: int = 150
    trials: int = 3
    missing_trials: int = 20  # where two edges lack features: how many are then wrong depends on which


def cells(settings: Settings) -> Iterator[dict[str, Any]]:
    """One state in one form per cell."""
    for case in CASES:
        for trial in range(settings.missing_trials if case == MISSING else settings.trials):
            yield {"case": case, "trial": trial}


def measure(settings: Settings, cell: Mapping[str, Any], context: Context) -> list[dict[str, Any]]:
    """Differences between what was written and what is read."""
    dataset = synthetic_city(
        settings.nodes, (2020,), name="XX", positive_rate=0.2, seed=context.shared_seed("state", cell["trial"])
    ).dataset
    with tempfile.TemporaryDirectory() as folder:
        state = export_ml4roadsafety(dataset, folder)
        alter(cell["case"], state, dataset, context.generator)
        try:
            back = from_ml4roadsafety(folder, dataset.name)
        except DatasetLayoutError:
            return [{"refused": 1.0}]
        inside = Path(folder) / f"ML4RoadSafety_graphs_{dataset.name}" / dataset.name
        wrong = wrong_by_position(inside if inside.is_dir() else state, back)
    report = back.report
    return [
        {
            "refused": 0.0,
            **differences(dataset, back),
            "wrong_by_position": wrong,
            "without_features": report["edges_without_features"],
            "unknown": report["accidents_on_unknown_edges"],
        }
    ]


def differences(dataset: RoadDataset, back: RoadDataset) -> dict[str, float]:
    """Differences between a data set and what came back; a two-way edge comes back in both directions."""
    edge = back.edge_id(*dataset.edge_index)
    coordinates = dataset.counts.tocoo()
    row, column = coordinates.coords
    found = np.zeros(back.counts.shape)
    np.add.at(found, (row, edge[column]), coordinates.data)
    unique = np.unique(dataset.edge_id(*dataset.edge_index))
    metres = np.abs(back.length[edge[unique]] - dataset.length[unique])
    places = [np.abs(back.lon - dataset.lon).max(), np.abs(back.lat - dataset.lat).max()]
    weather = np.abs(np.broadcast_to(dataset.weather, back.weather.shape) - back.weather)
    return {
        "counts": float((found != back.counts.toarray()).sum()),
        "edges": float((edge < 0).sum()),
        "metres": float(np.nanmax(metres)),
        "wrong": float((~(metres < 1e-3)).mean()),
        "degrees": float(max(places)),
        "weather": float(np.nanmax(weather)) if np.isfinite(weather).any() else 0.0,
    }


def alter(case: str, state: Path, dataset: RoadDataset, generator: np.random.Generator) -> None:
    """Bring the files of a state into another form."""
    accidents = state / "accidents_monthly.csv"
    if case in ("features in another order", MISSING):
        path = state / "Edges" / "edge_features.pt"
        table = read_tensors(path)
        length = table["length"].coalesce()
        order = generator.permutation(length.indices().shape[1])
        kept = np.sort(order[2:]) if case == MISSING else order
        table["length"] = torch.sparse_coo_tensor(
            length.indices()[:, kept], length.values()[kept], length.shape, check_invariants=True
        )
        torch.save(table, path)
    elif case == "a folder more":
        outer = state.parent / f"ML4RoadSafety_graphs_{state.name}"
        outer.mkdir()
        state.rename(outer / state.name)
    elif case in ("latitudes under lat", "nodes twice", "node tables of tensors"):
        for path in (state / "Nodes").iterdir():
            nodes = pd.read_csv(path)
            if case == "latitudes under lat":
                nodes.rename(columns={"lat": "lon", "lon": "lat"}).to_csv(path, index=False)
            elif case == "nodes twice":
                pd.concat([nodes, nodes.sample(20, random_state=0)]).to_csv(path, index=False)
            else:
                torch.save(
                    {name: torch.as_tensor(nodes[name].to_numpy(copy=True)) for name in nodes}, path.with_suffix(".pt")
                )
                path.unlink()
    elif case == "accidents against one-way streets":
        table = pd.read_csv(accidents)
        ends = table[["node_1_idx", "node_2_idx"]].to_numpy()
        against = dataset.flags[dataset.edge_id(ends[:, 0], ends[:, 1]), 0]
        ends[against] = ends[against][:, ::-1]
        table[["node_1_idx", "node_2_idx"]] = ends
        table.to_csv(accidents, index=False)
    elif case in (FEW_UNKNOWN, MANY_UNKNOWN):
        table = pd.read_csv(accidents)
        share = 0.005 if case == FEW_UNKNOWN else 0.05
        rows = generator.choice(len(table), max(1, int(share * len(table))), replace=False)
        # No edge leads from a node to itself.
        table.loc[rows, "node_2_idx"] = table.loc[rows, "node_1_idx"]
        table.to_csv(accidents, index=False)


def wrong_by_position(state: Path, back: RoadDataset) -> float:
    """Share of edges that get the length of another (beyond a millimetre) where features are read by position.

    As the published code does: both are coalesced, entry i of the features is taken for that of edge i of the adjacency
    matrix, and what is short is filled up with zeros.
    """
    adjacency = read_tensors(state / "adj_matrix.pt").coalesce()
    given = read_tensors(state / "Edges" / "edge_features.pt")["length"].coalesce().values().numpy()
    u, v = adjacency.indices().numpy()
    padded = np.zeros(len(u))
    padded[: len(given)] = given
    truth = back.length[back.edge_id(u, v)]
    known = np.isfinite(truth)
    return float((np.abs(padded - truth)[known] > 1e-3).mean())


def plot(table: pd.DataFrame) -> Figure:
    """Share of edges with a wrong length, by case: ours, and reading by position."""
    figure, axis = plt.subplots(figsize=(7.0, 3.4), layout="constrained")
    rows = table[table["refused"] == 0].groupby("case")[["wrong", "wrong_by_position"]].mean()
    cases = [case for case in CASES if case in rows.index]
    at = np.arange(len(cases))
    styles: tuple[tuple[float, str, str, dict[str, Any]], ...] = (
        (0.2, "wrong", "by its ends (here)", {"color": COLOURS[0]}),
        (-0.2, "wrong_by_position", "by position (published code)", {"color": "white", "hatch": "///"}),
    )
    for shift, column, label, style in styles:
        shown = rows.loc[cases, column] * 100
        bars = axis.barh(at + shift, shown, 0.36, edgecolor=COLOURS[1 if "hatch" in style else 0], label=label, **style)
        axis.bar_label(bars, labels=[f"{value:.2g} %" for value in shown], padding=3, fontsize=7)
    axis.set_yticks(at, labels=cases)
    axis.invert_yaxis()
    axis.set_xlim(0, 115)
    axis.set_xlabel("edges without their own length (%)")
    axis.legend(loc="lower right")
    return figure


def of(column: str, case: str) -> Callable[[pd.DataFrame], pd.Series]:
    """A column of a case, per state."""
    return values(column, {"case": case})


def unchanged(case: str) -> list[Any]:
    """Checks that nothing differs."""
    return [
        at_most(of("refused", case), 0.0),
        at_most(of("counts", case), 0.0),
        at_most(of("edges", case), 0.0),
        at_most(of("metres", case), 1e-3),
        at_most(of("degrees", case), 1e-9),
        at_most(of("weather", case), 1e-3),
    ]


EXPERIMENT = Experiment(
    name="loader-roundtrip",
    title="The published layout with its traps, written and read",
    scales={"smoke": Settings(nodes=60, trials=1, missing_trials=3), "laptop": Settings()},
    cells=cells,
    measure=measure,
    plot=plot,
    claims=[
        Claim(
            "L1",
            "through the layout and back no count changes, no place, no length by a millimetre, no weather by 0.001",
            "layout of ML4RoadSafety",
            "exact",
            "number",
            all_of(*unchanged(HARMLESS[0])),
        ),
        Claim(
            "L2",
            "nor with features in another order, latitudes under lat, nodes twice, tables of tensors, a folder more, "
            "or accidents against one-way streets",
            "layout of ML4RoadSafety",
            "exact",
            "number",
            all_of(*(check for case in HARMLESS[1:] for check in unchanged(case))),
        ),
        Claim(
            "L3",
            "two edges without features are reported as two, and the lengths of all others are theirs to a millimetre",
            "layout of ML4RoadSafety, Nevada",
            2,
            "number",
            all_of(within(of("without_features", MISSING), 2.0, 0.0), at_most(of("metres", MISSING), 1e-3)),
        ),
        Claim(
            "L4",
            "read by position, as in the published code, over half of the lengths are then wrong",
            "authors' code",
            None,
            "direction",
            at_least(of("wrong_by_position", MISSING), 0.5),
        ),
        Claim(
            "L5",
            "half a per cent of accidents on no edge is left out and counted; five per cent are refused",
            "goal of this reproduction",
            None,
            "number",
            all_of(
                at_most(of("refused", FEW_UNKNOWN), 0.0),
                at_least(of("unknown", FEW_UNKNOWN), 1.0),
                at_least(of("refused", MANY_UNKNOWN), 1.0),
            ),
        ),
    ],
)
