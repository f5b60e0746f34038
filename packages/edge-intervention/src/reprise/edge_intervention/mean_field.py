"""The expected number of nodes ever infected, in the mean-field epidemic, and its gradient on the edges.

Aims at infections instead of at a singular value. Not convex: the best iterate is reported, and there is no
certificate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from reprise.edge_intervention.individual import SMALLEST_ESCAPE
from reprise.edge_intervention.objectives import Linearisation
from reprise.edge_intervention.validation import integer, number
from reprise.edge_intervention.weights import edge_rows

if TYPE_CHECKING:
    import torch


class MeanFieldObjective:
    """Expected number of nodes ever infected after some steps of the mean-field SEIR model of `simulate_graph`.

    Parameters
    ----------
    beta, p0 : float
        As of `simulate_graph`.
    steps : int
    incubation, recovery : float
    device : {"cpu", "cuda", "auto"}

    Raises
    ------
    ValueError, TypeError
        Also if torch, an extra, is missing, or finds no such device.

    Notes
    -----
    The states S, E, I of a node are probabilities, and neighbours independent: a node escapes a step with
    ``exp Σ_j log(1 − I_j (1 − clip(1 − β M_ij, 10⁻³, 1)))``. Differentiated by reverse mode through all steps: time and
    memory O(steps · nnz).
    """

    def __init__(
        self,
        *,
        beta: float = 0.05,
        p0: float = 0.01,
        steps: int = 50,
        incubation: float = 16,
        recovery: float = 14,
        device: str = "cpu",
    ):
        self.beta, self.p0 = number("beta", beta), number("p0", p0, high=1.0)
        self.steps = integer("steps", steps)
        self.incubation = number("incubation", incubation, low=1.0)
        self.recovery = number("recovery", recovery, low=1.0)
        self._torch = _torch()
        self.device = _device(self._torch, device)

    def value(self, weights: sparse.csr_array, start: Any = None) -> float:
        """Return the expected number ever infected."""
        with self._torch.no_grad():
            return float(self._ever_infected(weights, self._tensor(weights)))

    def linearise(self, weights: sparse.csr_array, step: int, start: Any = None) -> Linearisation:
        """Return value and gradient."""
        data = self._tensor(weights).requires_grad_()
        ever = self._ever_infected(weights, data)
        (gradient,) = self._torch.autograd.grad(ever, data)
        return Linearisation(ever.item(), gradient.cpu().numpy(), np.nan)

    def _tensor(self, weights: sparse.csr_array) -> torch.Tensor:
        data: torch.Tensor = self._torch.as_tensor(weights.data, device=self.device, dtype=self._torch.float64)
        return data

    def _ever_infected(self, weights: sparse.csr_array, data: torch.Tensor) -> torch.Tensor:
        library, n = self._torch, weights.shape[0]
        if weights.shape[0] != weights.shape[1]:
            raise ValueError(f"W must be square for the mean-field objective, got {weights.shape}")
        rows = library.as_tensor(edge_rows(weights), device=self.device)
        columns = library.as_tensor(weights.indices.astype(np.int64), device=self.device)
        infecting = 1.0 - library.clamp(1.0 - self.beta * data, SMALLEST_ESCAPE, 1.0)
        susceptible = library.full((n,), 1.0 - self.p0, dtype=library.float64, device=self.device)
        exposed = library.full_like(susceptible, self.p0)
        infectious = library.zeros_like(susceptible)
        for _ in range(self.steps):
            pressure = library.log1p(-infectious.index_select(0, columns) * infecting)
            escape = library.zeros_like(susceptible).index_add(0, rows, pressure).exp()
            infected = susceptible * (1.0 - escape)
            turned = exposed / self.incubation
            susceptible = susceptible - infected
            exposed = exposed + infected - turned
            infectious = infectious + turned - infectious / self.recovery
        ever: torch.Tensor = n - susceptible.sum()
        return ever


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise ValueError("the mean-field objective needs an extra: install reprise-edge-intervention[torch]") from error
    return torch


def _device(torch: Any, device: Any) -> str:
    if device not in ("auto", "cpu", "cuda"):
        raise ValueError(f"device must be auto, cpu or cuda, got {device!r}")
    present = torch.cuda.is_available()
    if device == "cuda" and not present:
        raise ValueError("device cuda was asked for, but torch finds no GPU here: use device='cpu'")
    return "cuda" if present and device != "cpu" else "cpu"
