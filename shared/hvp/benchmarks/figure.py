"""Draw figure.svg from bench_hvp.json: what one product costs, and how much faster it is than curvlinops'."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot

HERE = Path(__file__).parent


def draw() -> None:
    """Read the record and write the figure beside it."""
    mpl.use("Agg")
    mpl.rcParams.update({"svg.hashsalt": "hvp", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    results = json.loads((HERE / "bench_hvp.json").read_text(encoding="utf-8"))["results"]
    names = [title.removeprefix("products, ") for title in results if title.startswith("products, ")]

    def bars(ax: Any, key: str, offset: float, **style: Any) -> None:
        rows = [results[f"products, {name}"][key] for name in names]
        middle = [row["median"] for row in rows]
        error = [[row["median"] - row["lower"] for row in rows], [row["upper"] - row["median"] for row in rows]]
        places = [position + offset for position in range(len(names))]
        ax.bar(places, middle, yerr=error, capsize=2, edgecolor="black", linewidth=0.6, **style)
        for place, value, above in zip(places, middle, error[1]):
            ax.annotate(
                f"{value:.1f}", (place, value + above), (0, 2), textcoords="offset points", ha="center", fontsize=8
            )

    figure, (cost, speed) = pyplot.subplots(1, 2, figsize=(7.6, 2.7), layout="constrained", width_ratios=[2, 3])
    bars(cost, "H1", 0, width=0.55, color="0.55")
    cost.axhline(2.0, color="black", linewidth=0.9, linestyle="--", label="limit of a deep network")
    cost.set_ylabel("cost of one product (gradients)")
    cost.set_ylim(top=1.35 * cost.get_ylim()[1])
    cost.legend(frameon=False, loc="upper left")
    bars(speed, "H2", -0.2, width=0.4, color="0.55", label="one vector")
    bars(speed, "H3", 0.2, width=0.4, color="0.9", hatch="//", label="block of 32")
    speed.axhline(1.0, color="black", linewidth=0.9, linestyle="--")
    speed.set_ylabel("time of curvlinops / ours")
    speed.set_ylim(top=1.2 * speed.get_ylim()[1])
    speed.legend(frameon=False, ncols=2, loc="upper left")
    for ax in (cost, speed):
        ax.set_xticks(range(len(names)), names)
    figure.savefig(HERE / "figure.svg", metadata={"Date": None})
    pyplot.close(figure)


if __name__ == "__main__":
    draw()
