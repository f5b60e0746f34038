"""Recovery to an error of 0.01: gradient descent against the minimum nuclear norm by SCS (d = 60, r = 3, m = 3dr)."""

from functools import partial

import torch

from reprise.core.ratios import compare, peak_megabytes, write
from reprise.matrix_sensing import SensingProblem, gradient_descent, minimum_nuclear_norm, recovery_error


def problem() -> SensingProblem:
    """Make the problem that both solve, in the single precision that the error asked for needs."""
    return SensingProblem.gaussian(dimension=60, rank=3, measurements=540, seed=0, dtype=torch.float32)


def blind(given: SensingProblem) -> SensingProblem:
    """Forget the truth, as a user who does not know it: runs stop by the loss alone."""
    return SensingProblem(given.measurements, given.targets)


def descend(given: SensingProblem | None = None):
    """Solve it by gradient descent."""
    return gradient_descent(blind(given or problem()), scale=1e-4, step=0.1, tolerance=1e-5).matrix


def solve(given: SensingProblem | None = None):
    """Solve it as a semidefinite program."""
    return minimum_nuclear_norm(blind(given or problem()), "SCS", tolerance=1e-4)


if __name__ == "__main__":
    given = problem()
    ours, peer = partial(descend, given), partial(solve, given)
    facts = {
        "our_error": float(recovery_error(ours(), given.truth)),
        "peer_error": float(recovery_error(peer(), given.truth)),
        "our_peak_mb": peak_megabytes(descend, imports=["cvxpy"]),
        "peer_peak_mb": peak_megabytes(solve, imports=["cvxpy"]),
    }
    assert facts["our_error"] < 0.01, facts
    result = compare("recovery against cvxpy with SCS", ours, peer, repeats=5, **facts)
    write(__file__, [result], libraries=["torch", "cvxpy", "scs", "clarabel"])
