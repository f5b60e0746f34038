"""The figure of branching networks: scores, differences, and the trees that were found."""

from __future__ import annotations

from string import ascii_uppercase

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from reprise.algorithmic_reasoning.experiments.bars import grouped_bars
from reprise.algorithmic_reasoning.experiments.branching_quantities import METHODS, difference
from reprise.algorithmic_reasoning.probes import ALGORITHMS
from reprise.algorithmic_reasoning.structure import BranchingStructure
from reprise.core.figures import COLOURS

LABELS = {
    "shared": "one network",
    "mixture": "MMoE",
    "lookahead": "groups (TAG)",
    "groups": "groups (GradTAG)",
    "branched": "LearningToBranch",
    "found": "found tree",
    "single": "one each",
}
# Averages over twelve algorithms, N = 64, that the authors' plotting scripts hold, in per cent.
PAPER = {
    "edge_transformer": {
        "found": 87.3,
        "shared": 83.6,
        "single": 86.0,
        "mixture": 84.9,
        "lookahead": 85.0,
        "branched": 86.4,
        "groups": 85.6,
    },
    "mpnn": {
        "found": 74.6,
        "shared": 71.6,
        "single": 75.2,
        "mixture": 71.7,
        "lookahead": 73.1,
        "branched": 74.0,
        "groups": 73.5,
    },
}


def plot(table: pd.DataFrame) -> Figure:
    """Mean score of every method by the size of test graphs; the difference to one network, by algorithm; and trees."""
    networks = table[table["part"] == "network"]
    trees = found_trees(networks)
    figure, axes = plt.subplot_mosaic(
        [["scores", "differences"], ["trees", "trees"]],
        figsize=(7.0, 3.9 + 0.22 * len(trees)),
        width_ratios=(1.2, 1),
        height_ratios=(3.0, 0.22 * len(trees) + 0.01),
    )
    left, right = axes["scores"], axes["differences"]
    draw_trees(axes["trees"], trees)
    methods = [method for method in METHODS if method in set(networks["method"])]
    sizes = sorted(int(nodes) for nodes in networks["nodes"].unique())
    means = 100 * networks.groupby(["method", "nodes", "trial"])["score"].mean()
    grouped_bars(left, {LABELS[method]: [means[method, nodes].tolist() for nodes in sizes] for method in methods})
    left.set_xticks(range(len(sizes)), [str(nodes) for nodes in sizes])
    left.set(xlabel="nodes of test graphs, N", ylabel="mean score, %", ylim=(0, 100))
    left.legend(ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0), fontsize=7)
    other = "found" if "found" in methods else methods[-1]
    gains = 100 * difference(networks, other, "shared", sizes[1:] or sizes)
    names = [name for name in ALGORITHMS if name in set(gains.index.get_level_values("algorithm"))]
    for place, name in enumerate(names):
        points = gains.xs(name, level="algorithm")
        right.plot(points, [place] * len(points), "o", color=COLOURS[0], ls="", alpha=0.7)
        right.plot([points.mean()], [place], "|", color="black", ms=14, mew=2, ls="")
    right.axvline(0, color="black", lw=0.8, ls="-")
    only = str(networks["processor"].iloc[0]) if networks["processor"].nunique() == 1 else "edge_transformer"
    paper = PAPER["edge_transformer" if only == "edge_transformer" else "mpnn"]
    label = f"paper, N = 64, {'Edge Transformer' if only == 'edge_transformer' else 'message passing'}"
    right.axvline(paper["found"] - paper["shared"], color="black", lw=1, ls="--", label=label)
    right.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    right.set(xlabel=f"{LABELS[other]} less one network,\npoints on larger graphs", ylim=(-0.6, len(names) - 0.4))
    right.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), fontsize=7)
    return figure


def found_trees(networks: pd.DataFrame) -> pd.DataFrame:
    """Module of every algorithm in the trees that the search found, one row for each processor, trial and layer."""
    found = networks[networks["method"] == "found"].drop_duplicates(["processor", "trial"])
    names = [name for name in ALGORITHMS if name in set(networks["algorithm"])]
    texts = [(row["processor"], int(row["trial"]), str(row["tree"] or "")) for row in found.to_dict("records")]
    depth = 1 + max([int(line.split(":")[0]) for *_, text in texts for line in text.split("; ") if ":" in line] + [0])
    rows = []
    for kind, trial, text in texts:
        tree = BranchingStructure.from_text(text.replace("; ", "\n") if ":" in text else "", names, depth)
        rows += [(kind, trial, layer, *(tree.module(layer, name) for name in names)) for layer in range(depth)]
    places = ["processor", "trial", "layer"]
    return pd.DataFrame(rows, columns=[*places, *names]).set_index(places)


def draw_trees(axes: Axes, trees: pd.DataFrame) -> None:
    """Modules as letters and colours; algorithms that share one have the same."""
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    if trees.empty:
        axes.set_axis_off()
        return
    modules = trees.to_numpy()
    axes.imshow(
        modules % len(COLOURS), cmap=ListedColormap(COLOURS), vmin=0, vmax=len(COLOURS), alpha=0.45, aspect="auto"
    )
    for (row, column), module in np.ndenumerate(modules):
        axes.text(column, row, ascii_uppercase[module], ha="center", va="center", fontsize=8)
    axes.set_xticks(range(modules.shape[1]), [str(name).replace("_", "\n") for name in trees.columns], fontsize=7)
    several = trees.index.get_level_values("processor").nunique() > 1
    labels = [f"{kind}, " * several + f"seed {trial}, layer {layer}" for kind, trial, layer in trees.index]
    axes.set_yticks(range(len(trees)), labels, fontsize=7)
    axes.set_title("modules of the found trees", fontsize=8)
