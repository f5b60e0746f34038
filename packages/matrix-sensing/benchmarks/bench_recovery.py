"""Recovery to an error of 0.01: gradient descent against the minimum nuclear norm by SCS (d = 60, r = 3, m = 3dr)."""

from functools import partial

from ratios import compare, peak_megabytes, write

from reprise.matrix_sensing import SensingProblem, gradient_descent, minimum_nuclear_norm, recovery_error


def problem() -> SensingProblem:
    """Make the problem that both solve."""
    return SensingProblem.gaussian(dimension=60, rank=3, measurements=540, seed=0)


def descend(given: SensingProblem | None = None):
    """Solve it by gradient descent."""
    # Enough steps for the error asked for, checked below; a user without the truth would stop by the loss.
    return gradient_descent(given or problem(), scale=1e-4, steps=900, record_every=900).matrix


def solve(given: SensingProblem | None = None):
    """Solve it as a semidefinite program."""
    return minimum_nuclear_norm(given or problem(), "SCS", tolerance=1e-4)


if __name__ == "__main__":
    given = problem()
    errors = {
        name: float(recovery_error(work(given), given.truth)) for name, work in (("ours", descend), ("peer", solve))
    }
    assert errors["ours"] < 0.01, errors
    memory = {"ours": peak_megabytes(descend), "peer": peak_megabytes(solve)}
    result = compare(
        "recovery against cvxpy with SCS",
        partial(descend, given),
        partial(solve, given),
        repeats=5,
        our_error=errors["ours"],
        peer_error=errors["peer"],
        our_peak_mb=memory["ours"],
        peer_peak_mb=memory["peer"],
    )
    write(__file__, [result])
