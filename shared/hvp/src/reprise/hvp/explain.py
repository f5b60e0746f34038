"""Where curvature lies: each layer's share of the trace and of the top eigenvector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch

from .curvature import CurvatureOperator
from .diagonal import layer_traces
from .eigen import Eigenpairs, eigsh

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class LayerShare:
    """One layer: its size, trace with standard error, share of the whole trace, and of the top eigenvector's square."""

    layer: str
    parameters: int
    trace: float
    stderr: float
    trace_share: float
    eigenvector_share: float


@dataclass(frozen=True)
class Explanation:
    """Shares of all layers, with the top eigenvalue and the products that they took."""

    layers: list[LayerShare]
    top: Eigenpairs
    products: int

    def table(self) -> str:
        """The layers as a table in Markdown."""
        lines = [
            "| layer | parameters | trace | ± | share of trace | share of top eigenvector |",
            "|---|---:|---:|---:|---:|---:|",
        ]
        lines += [
            f"| {row.layer} | {row.parameters} | {row.trace:.4g} | {row.stderr:.2g} | {row.trace_share:.1%} "
            f"| {row.eigenvector_share:.1%} |"
            for row in self.layers
        ]
        return "\n".join(lines)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the shares as pairs of bars.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; new axes by default.
        """
        if ax is None:
            from matplotlib import pyplot

            ax = pyplot.subplots()[1]
        places = torch.arange(len(self.layers)).numpy()
        ax.barh(places - 0.2, [row.trace_share for row in self.layers], height=0.4, color="0.25", label="trace")
        shares = [row.eigenvector_share for row in self.layers]
        ax.barh(places + 0.2, shares, height=0.4, color="0.7", label="top eigenvector")
        ax.set_yticks(places, [row.layer for row in self.layers])
        ax.invert_yaxis()
        ax.set_xlabel("share")
        ax.legend()
        return ax


def explain(
    operator: CurvatureOperator,
    *,
    by: Literal["module", "parameter"] = "module",
    products: int = 50,
    tol: float = 1e-2,
    generator: torch.Generator | int | None = None,
) -> Explanation:
    """Each layer's share of the trace and of the top eigenvector.

    Parameters
    ----------
    operator : CurvatureOperator
        On the layers of interest.
    by : "module" or "parameter"
        What a layer is.
    products : int
        Random vectors for the traces.
    tol : float
        Tolerance of the eigenvector's residual, relative to the eigenvalue.
    generator : torch.Generator or int, optional
        Source of randomness or its seed; seed 0 by default.

    Returns
    -------
    Explanation
        Shares of the trace may be negative, or larger than one, where a layer's trace is negative.

    Examples
    --------
    >>> import torch
    >>> from reprise.hvp import Hessian
    >>> params = {"a": torch.ones(2), "b": torch.ones(3)}
    >>> H = Hessian.of(lambda p: (p["a"] ** 2).sum() + 2 * (p["b"] ** 2).sum(), params)
    >>> print(explain(H, products=4).table())
    | layer | parameters | trace | ± | share of trace | share of top eigenvector |
    |---|---:|---:|---:|---:|---:|
    | a | 2 | 4 | 0 | 25.0% | 0.0% |
    | b | 3 | 12 | 0 | 75.0% | 100.0% |
    """
    assert operator.space is not None
    traces = layer_traces(operator, by=by, products=products, generator=generator)
    top = eigsh(operator, k=1, tol=tol, generator=generator)
    groups = operator.space.layers() if by == "module" else {name: [name] for name in operator.space.names}
    total = sum(estimate.value for estimate in traces.values())
    rows = []
    for layer, names in groups.items():
        slices = [operator.space.slices[name] for name in names]
        rows.append(
            LayerShare(
                layer=layer,
                parameters=sum(part.stop - part.start for part in slices),
                trace=traces[layer].value,
                stderr=traces[layer].stderr,
                trace_share=traces[layer].value / total if total else float("nan"),
                eigenvector_share=sum(float((top.vectors[part, 0] ** 2).sum()) for part in slices),
            )
        )
    return Explanation(rows, top, products + top.products)
