"""The tables of the papers on their states, for whoever downloads them (claims A1 to A4, A6, A7, B1, B5)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from reprise.core import Claim, Context, Experiment, RowsMissing, all_of, at_least, at_most, beats, values, within
from reprise.core.checks import select
from reprise.core.figures import COLOURS, MARKERS
from reprise.road_safety.dataset import RoadDataset
from reprise.road_safety.experiments.spatio_temporal import NAMES, STATIC, pairs_won, temporal_network
from reprise.road_safety.experiments.state_data import IMAGE_YEARS, YEARS, graphs, graphs_with_images, load
from reprise.road_safety.fusion import FUSIONS
from reprise.road_safety.model import RoadGNN
from reprise.road_safety.multitask import train_multitask
from reprise.road_safety.spatiotemporal import TEMPORAL, TRANSDUCTIVE
from reprise.road_safety.training import train

TASKS = ("classification", "regression")
TOGETHER = {"multitask": (), "with volume": ("volume_regression",)}
GRAPH = "graph only"
# The poster's table: mean absolute error and AUROC (%) of Delaware, Massachusetts and Maryland.
PRINTED = {
    "sage": {"DE": (0.3, 87.6), "MA": (0.8, 81.8), "MD": (0.4, 87.6)},
    "dcrnn": {"DE": (0.3, 81.2), "MA": (0.9, 70.5), "MD": (0.3, 84.5)},
    "multitask": {"DE": (0.2, 87.8), "MA": (0.7, 81.9), "MD": (0.3, 88.1)},
    "with volume": {"DE": (0.2, 87.3), "MA": (0.6, 82.6), "MD": (0.3, 87.9)},
}
# Mean count on segments with accidents, minus one: the error of predicting one accident on each of them.
CONSTANT_ERROR = {"DE": 0.23, "MA": 1.27, "MD": 0.22}


@dataclass(frozen=True)
class Settings:
    """As in the authors' scripts, with their negatives, so that the numbers are theirs."""

    states: tuple[str, ...] = tuple(YEARS)
    networks: tuple[str, ...] = (*STATIC, *TEMPORAL)
    adaptive_states: tuple[str, ...] = ("DE",)  # for the two networks whose learnt graph takes time N²
    image_states: tuple[str, ...] = tuple(IMAGE_YEARS)
    hidden: int = 256
    layers: int = 2
    fusion_layers: int = 3  # of the graph network inside of the fusion
    epochs: int = 100
    fusion_epochs: int = 30
    lr: float = 1e-3
    input_time_steps: int = 12
    negatives: str = "official"
    trials: int = 3
    miniature: int = 0  # junctions of synthetic states in place of the downloaded ones; 0: those


def cells(settings: Settings) -> Iterator[dict[str, Any]]:
    """Facts of a state; one network on one state; all states together; images on one state."""
    for state in settings.states:
        yield {"part": "facts", "state": state, "model": "", "task": "", "trial": 0}
    for trial in range(settings.trials):
        for task in TASKS:
            for state in settings.states:
                for network in settings.networks:
                    if network not in TRANSDUCTIVE or state in settings.adaptive_states:
                        yield {"part": "network", "state": state, "model": network, "task": task, "trial": trial}
            for mode in TOGETHER:
                yield {"part": "together", "model": mode, "task": task, "trial": trial}
        for state in settings.image_states:
            for fusion in (GRAPH, *FUSIONS):
                yield {"part": "fusion", "state": state, "model": fusion, "task": TASKS[0], "trial": trial}


def measure(settings: Settings, cell: Mapping[str, Any], context: Context) -> list[dict[str, Any]]:
    """Metrics of one cell, by state; encoder and head are drawn anew in every trial."""
    if cell["part"] == "facts":
        return [_facts(load(cell["state"], False, settings.miniature, context), YEARS[cell["state"]][2])]
    if cell["part"] == "together":
        return _together(settings, cell, context)
    images = cell["part"] == "fusion"
    dataset = load(cell["state"], images, settings.miniature, context)
    found = train(
        dataset,
        lambda node, edge: _network(settings, cell, dataset, node, edge),
        cell["task"],
        *(IMAGE_YEARS if images else YEARS)[cell["state"]],
        settings.fusion_epochs if images else settings.epochs,
        settings.lr,
        context.seed,
        settings.negatives,
        history=False,
        device=context.device,
        progress=context.progress,
    )
    return [_row(found.metrics, cell["model"])]


def _network(settings: Settings, cell: Mapping[str, Any], dataset: RoadDataset, node: int, edge: int) -> RoadGNN:
    conv = cell["model"]
    if cell["part"] == "fusion":
        fusion = None if conv == GRAPH else conv
        width = 0 if fusion is None or dataset.images is None else dataset.images.shape[1]
        return RoadGNN(node, edge, settings.hidden, settings.fusion_layers, "gcn", fusion=fusion, image_dim=width)
    if conv in TEMPORAL:
        return temporal_network(node, edge, settings.hidden, conv, settings.input_time_steps, dataset.num_nodes)
    return RoadGNN(node, edge, settings.hidden, settings.layers, conv)


def _together(settings: Settings, cell: Mapping[str, Any], context: Context) -> list[dict[str, Any]]:
    datasets = [load(state, False, settings.miniature, context) for state in settings.states]
    kinds = (f"accident_{cell['task']}", *TOGETHER[cell["model"]])
    # Not every state has traffic counts in its training years.
    tasks = [
        f"{dataset.name}_{kind}"
        for dataset in datasets
        for kind in kinds
        if kind != "volume_regression" or set(YEARS[dataset.name][0]) & set(dataset.volume)
    ]
    train_years, valid_years, test_years = (
        {state: YEARS[state][part] for state in settings.states} for part in range(3)
    )
    found = train_multitask(
        datasets,
        tasks,
        lambda node, edge: RoadGNN(node, edge, settings.hidden, settings.layers, "sage"),
        train_years,
        valid_years,
        test_years,
        epochs=settings.epochs,
        lr=settings.lr,
        seed=context.seed,
        negatives=settings.negatives,
        history=False,
        device=context.device,
        progress=context.progress,
    )
    return [
        {"state": state, **_row(found.metrics[f"{state}_accident_{cell['task']}"], "sage")} for state in settings.states
    ]


def _facts(dataset: RoadDataset, years: tuple[int, ...]) -> dict[str, Any]:
    """What an error has to be held against: counts on segments with accidents in the test years."""
    counts = dataset.counts[dataset.rows_of(years)]
    return {
        "kind": "",
        "mean_count": float(counts.data.mean()),
        "positive_rate": counts.nnz / (counts.shape[0] * counts.shape[1]),
        "constant_error": float(np.abs(counts.data - 1).mean()),
    }


def _row(metrics: Mapping[str, Mapping[str, float]], network: str) -> dict[str, Any]:
    splits = ("train", "valid", "test")
    return {
        "kind": "months" if network in TEMPORAL else "one month",
        **{f"{split}_{name}": metrics[split][name] for split in splits for name in ("auroc", "mae_pos", "ap")},
        "auroc": metrics["test"]["auroc"],
    }


def plot(table: pd.DataFrame) -> Figure:
    """AUROC and error of the models of the poster's table, beside what it prints."""
    figure, axes = plt.subplots(1, 2, figsize=(7.2, 3.4), layout="constrained")
    columns = ("test_auroc", "test_mae_pos")
    labels = ("AUROC (%)", "error on segments with accidents (accidents)")
    found = set(table.loc[table["part"] != "facts", "state"])
    for axis, column, task, label, place in zip(axes, columns, TASKS, labels, (1, 0)):
        states = sorted(found)
        for index, model in enumerate(PRINTED):
            rows = table[(table["model"] == model) & (table["task"] == task)]
            shown = rows.groupby("state")[column].mean().reindex(states) * (100 if place else 1)
            at = np.arange(len(states)) + (index - 1.5) * 0.18
            name = NAMES.get(model, {"multitask": "all states", "with volume": "and traffic"}.get(model))
            axis.plot(at, shown, MARKERS[index], color=COLOURS[index], linestyle="", label=name)
            printed = [PRINTED[model][state][place] if state in PRINTED[model] else np.nan for state in states]
            axis.plot(at, printed, "_", color="black", markersize=11, label="paper" if index == 3 else None)
        axis.set_xticks(range(len(states)), labels=states)
        axis.set_ylabel(label)
    axes[1].legend(fontsize=7)
    return figure


def of(model: str, state: str, column: str, task: str) -> Callable[[pd.DataFrame], pd.Series]:
    """A column of a model on a state, per trial."""
    where = {"part": ["network", "together"], "model": model, "state": state, "task": task}
    return values(column, where)


def printed(model: str, what: str) -> Any:
    """Check the three states of the poster's table: errors to 0.05, AUROC to one point."""
    if what == "error":
        return all_of(*(within(of(model, s, "test_mae_pos", TASKS[1]), v[0], 0.05) for s, v in PRINTED[model].items()))
    return all_of(*(within(of(model, s, "test_auroc", TASKS[0]), v[1] / 100, 0.01) for s, v in PRINTED[model].items()))


def fact(column: str, state: str) -> Callable[[pd.DataFrame], pd.Series]:
    """A fact of a state."""
    return values(column, {"part": "facts", "state": state})


def best(task: str) -> Callable[[pd.DataFrame], pd.Series]:
    """Mean over states of the test measure of the model that is best on the validation years, per trial.

    AUROC; or the error on segments with accidents over the mean count there.
    """
    column, better = ("auroc", max) if task == TASKS[0] else ("mae_pos", min)

    def quantity(table: pd.DataFrame) -> pd.Series:
        rows = select(table, {"part": ["network", "together"], "task": task})
        found = []
        for state, part in rows.groupby("state"):
            chosen = part.groupby("model")[f"valid_{column}"].mean()
            model = better(chosen.index, key=chosen.__getitem__)
            measured = part[part["model"] == model].set_index("trial")[f"test_{column}"]
            scale = 1.0 if task == TASKS[0] else float(fact("mean_count", str(state))(table).iloc[0])
            found.append(measured / scale)
        mean: pd.Series = pd.concat(found, axis=1).mean(axis=1)
        return mean

    return quantity


def over_states(model: str, task: str) -> Callable[[pd.DataFrame], pd.Series]:
    """Mean over the states of the test measure of a model, per trial."""
    column = "test_auroc" if task == TASKS[0] else "test_mae_pos"
    return values(column, {"part": ["network", "together"], "model": model, "task": task})


def change(model: str, task: str) -> Callable[[pd.DataFrame], pd.Series]:
    """Relative change against GraphSAGE trained on every state alone, per trial."""

    def quantity(table: pd.DataFrame) -> pd.Series:
        found = (over_states(model, task)(table) / over_states("sage", task)(table) - 1).dropna()
        if found.empty:
            raise RowsMissing("no trial has both")
        return found

    return quantity


def fused(model: str) -> Callable[[pd.DataFrame], pd.Series]:
    """AUROC of a fusion, or of the graph alone beside it, mean over states, per trial."""
    return values("test_auroc", {"part": "fusion", "model": model})


def best_fused(table: pd.DataFrame) -> pd.Series:
    """AUROC of the fusion that is best on the validation years, per trial."""
    rows = select(table, {"part": "fusion", "model": list(FUSIONS)})
    chosen = rows.groupby("model")["valid_auroc"].mean().idxmax()
    return fused(str(chosen))(table)


def classified_pairs(table: pd.DataFrame) -> pd.Series:
    """Share of pairs that graph networks win in AUROC, over all states, per trial."""
    rows = select(table, {"part": "network", "task": TASKS[0]})
    shares = [pairs_won()(part) for _, part in rows.groupby("state")]
    return pd.concat(shares, axis=1).mean(axis=1)


PRINTED_MODELS = (
    ("a", "sage", "GraphSAGE"),
    ("b", "dcrnn", "DCRNN"),
    ("c", "multitask", "all states together"),
    ("d", "with volume", "all states and traffic volume"),
)

EXPERIMENT = Experiment(
    name="states",
    title="The tables of the papers, on the states they collected",
    scales={
        "smoke": Settings(
            states=("MT", "NV"),
            networks=("gcn", "sage", "dcrnn"),
            adaptive_states=(),
            image_states=(),
            hidden=4,
            epochs=1,
            input_time_steps=2,
            trials=1,
            miniature=30,
        ),
        "paper": Settings(),
    },
    cells=cells,
    measure=measure,
    plot=plot,
    data={"paper": [*(graphs(state) for state in YEARS), *(graphs_with_images(state) for state in IMAGE_YEARS)]},
    claims=[
        Claim(
            "SA1",
            "counts are predicted with an error of at most 22 % of the count on segments with accidents (mean over "
            "the states, the best model by validation)",
            "abstract",
            0.22,
            "number",
            at_most(best(TASKS[1]), 0.22),
        ),
        Claim(
            "SA1b",
            "and accidents with an AUROC above 87 %",
            "abstract",
            0.87,
            "number",
            at_least(best(TASKS[0]), 0.87),
        ),
        *(
            Claim(
                f"SA2{letter}",
                f"errors of {name} in Delaware, Massachusetts and Maryland (within 0.05)",
                "poster, table",
                ", ".join(str(PRINTED[model][state][0]) for state in ("DE", "MA", "MD")),
                "number",
                printed(model, "error"),
            )
            for letter, model, name in PRINTED_MODELS
        ),
        Claim(
            "SA2e",
            "predicting one accident on every segment with accidents errs by 0.23 in Delaware, 1.27 in Massachusetts, "
            "0.22 in Maryland (within 0.1; GraphSAGE prints 0.3, 0.8, 0.4)",
            "poster: mean counts minus one",
            "0.23, 1.27, 0.22",
            "number",
            all_of(*(within(fact("constant_error", state), error, 0.1) for state, error in CONSTANT_ERROR.items())),
        ),
        *(
            Claim(
                f"SA3{letter}",
                f"AUROC of {name} in Delaware, Massachusetts and Maryland (within one point)",
                "poster, table",
                ", ".join(str(PRINTED[model][state][1]) for state in ("DE", "MA", "MD")) + " %",
                "number",
                printed(model, "auroc"),
            )
            for letter, model, name in PRINTED_MODELS
        ),
        *(
            Claim(
                f"SA4{letter}",
                f"{name}: {what} than GraphSAGE on each state (within {tolerance:.0%})",
                "abstract",
                expected,
                "number",
                within(change(model, task), expected, tolerance),
            )
            for letter, name, model, task, expected, tolerance, what in (
                ("a", "all states together", "multitask", TASKS[1], -0.084, 0.03, "8.4 % less error"),
                ("b", "all states together", "multitask", TASKS[0], 0.009, 0.01, "0.9 % more AUROC"),
                ("c", "and traffic volume", "with volume", TASKS[1], -0.079, 0.03, "7.9 % less error"),
                ("d", "and traffic volume", "with volume", TASKS[0], 0.011, 0.01, "1.1 % more AUROC"),
            )
        ),
        Claim(
            "SA6",
            "neither kind dominates: of all pairs of a graph and a spatio-temporal network the former wins 10 to 90 %",
            "poster",
            None,
            "number",
            within(classified_pairs, 0.5, 0.4),
        ),
        Claim(
            "SA7",
            "AUROC of GCN in Montana, training, validation and test years (within one point)",
            "an independent run of the authors' code",
            "82.99, 82.73, 82.62 %",
            "number",
            all_of(
                *(
                    within(of("gcn", "MT", f"{split}_auroc", TASKS[0]), value, 0.01)
                    for split, value in (("train", 0.8299), ("valid", 0.8273), ("test", 0.8262))
                )
            ),
        ),
        Claim(
            "SB1",
            "with images an AUROC of 90.1 % (within one point; here Delaware, the paper averages six states)",
            "abstract",
            0.901,
            "number",
            within(best_fused, 0.901, 0.01),
        ),
        Claim(
            "SB1b",
            "which is 3.7 % more than the graph alone (within one point)",
            "abstract",
            0.037,
            "number",
            within(lambda table: best_fused(table) / fused(GRAPH)(table) - 1, 0.037, 0.01),
        ),
        Claim(
            "SB5",
            "each of the three fusions has a larger AUROC than the graph alone",
            "ablation",
            None,
            "number",
            all_of(*(beats(fused(name), fused(GRAPH), lower_is_better=False) for name in FUSIONS)),
        ),
    ],
)
