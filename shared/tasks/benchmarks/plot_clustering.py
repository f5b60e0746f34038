"""Draw the time of clustering against the number of tasks from `bench_clustering.json`."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

STYLES = {"clarabel": ("Clarabel", "o", "-"), "scs": ("SCS", "s", "--"), "lowrank": ("low-rank", "^", "-")}
COLOURS = {"clarabel": "#0072B2", "scs": "#999999", "lowrank": "#D55E00"}


def main() -> None:
    """Write ``clustering.svg`` beside the numbers."""
    folder = Path(__file__).parent
    results = json.loads((folder / "bench_clustering.json").read_text(encoding="utf-8"))
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.subplots()
    for solver, (label, marker, line) in STYLES.items():
        rows = results[solver]["rows"]
        axes.loglog(
            [row["n"] for row in rows],
            [row["seconds"] for row in rows],
            marker=marker,
            linestyle=line,
            color=COLOURS[solver],
            label=label,
        )
    sizes = [row["n"] for row in results["clarabel"]["rows"]]
    last = results["clarabel"]["rows"][-1]["seconds"]
    axes.loglog(sizes, [last * (n / sizes[-1]) ** 3 for n in sizes], color="black", linewidth=0.7, label="slope 3")
    ticks = sorted({row["n"] for solver in STYLES for row in results[solver]["rows"]} - {60, 150})
    axes.set_xticks(ticks, [f"{n:,}" for n in ticks])
    axes.minorticks_off()
    axes.set_xlabel("tasks")
    axes.set_ylabel("seconds")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    with mpl.rc_context({"svg.hashsalt": "reprise"}):
        figure.savefig(folder / "clustering.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
