"""The figure of pairs of algorithms: what was estimated of them beside what was measured."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reprise.algorithmic_reasoning.experiments.affinity_quantities import centred, standardised
from reprise.core.figures import COLOURS, MARKERS


def plot(table: pd.DataFrame) -> Figure:
    """Estimated against measured scores after training on pairs, the gains from partners among them, and affinity."""
    figure, axes = plt.subplots(1, 3, figsize=(10.0, 3.1), width_ratios=(1, 1, 1.25))
    everywhere, pairs = centred(table, outside=True), centred(table)
    inside = (everywhere["part"] == "pair").to_numpy()
    x, y = standardised(everywhere, "estimated"), standardised(everywhere, "tuned")
    for label, chosen, filled in (("in the pair", inside, True), ("not in it", ~inside, False)):
        _scatter(axes[0], x[chosen], y[chosen], label, MARKERS[0], COLOURS[0], filled=filled)
    axes[0].set(xlabel="estimated score after a pair, s.d.", ylabel="fine-tuned score, s.d.")
    x = standardised(pairs, "estimated")
    for index, (kind, label) in enumerate((("tuned", "fine-tuned"), ("trained", "from scratch"))):
        _scatter(axes[1], x, standardised(pairs, kind), label, MARKERS[index], COLOURS[index], filled=index == 0)
    axes[1].set(xlabel="estimated gain from a partner, s.d.", ylabel="measured gain, s.d.")
    for panel in axes[:2]:
        panel.axline((0, 0), slope=1, color="#777777", lw=1, ls=":")
        panel.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    names = list(dict.fromkeys(pairs["algorithm"]))
    means = 1000 * pairs.pivot_table(index="algorithm", columns="partner", values="estimated").loc[names, names]
    scale = float(np.nanmax(np.abs(means)))
    image = axes[2].imshow(means, cmap="PuOr", vmin=-scale, vmax=scale)
    short = [name.replace("_", " ") for name in names]
    axes[2].set_xticks(range(len(names)), short, rotation=45, ha="right", fontsize=8)
    axes[2].set_yticks(range(len(names)), short, fontsize=8)
    axes[2].set(xlabel="trained with", ylabel="scored on")
    axes[2].grid(visible=False)
    figure.colorbar(image, ax=axes[2], label="estimated gain, 10⁻³ nats", shrink=0.8)
    return figure


def _scatter(axes: Axes, x: Any, y: Any, label: str, marker: str, colour: str, *, filled: bool) -> None:
    axes.plot(x, y, marker, ls="", color=colour, mfc=colour if filled else "none", label=label)
