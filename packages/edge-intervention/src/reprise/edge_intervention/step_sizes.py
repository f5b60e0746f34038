"""How far Frank-Wolfe goes towards the vertex that the gradient names."""

from __future__ import annotations

from collections.abc import Callable

from scipy.optimize import minimize_scalar

# Of the published code: .1 … .9, .01 … .09, .001 … .009.
GRID = tuple(sorted(digit / scale for scale in (10, 100, 1000) for digit in range(1, 10)))


def open_loop(step: int) -> float:
    """Return ``2 / (step + 2)`` for the step numbered from 0."""
    return 2.0 / (step + 2.0)


def grid_minimum(along: Callable[[float], float], grid: tuple[float, ...] = GRID) -> float:
    """Return the point of an ascending grid at which a convex function is smallest.

    Parameters
    ----------
    along : callable
        A convex function of the step size. What is convex falls and then rises along the grid, so that the smallest of
        27 values is found after at most 10 of them.

    Examples
    --------
    >>> grid_minimum(lambda eta: (eta - 0.031) ** 2)
    0.03
    """
    known: dict[int, float] = {}

    def at(index: int) -> float:
        if index not in known:
            known[index] = along(grid[index])
        return known[index]

    low, high = 0, len(grid) - 1
    while low < high:
        middle = (low + high) // 2
        if at(middle) <= at(middle + 1):
            high = middle
        else:
            low = middle + 1
    return grid[low]


def brent(along: Callable[[float], float], evaluations: int = 8) -> float:
    """Return where a convex function on [0, 1] is smallest, by Brent's method."""
    found = minimize_scalar(along, bounds=(0.0, 1.0), method="bounded", options={"maxiter": evaluations, "xatol": 1e-3})
    return float(found.x)
