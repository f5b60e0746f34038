"""One step on rank-one measurements, d = 200 and m = 10,000: never forming x xᵀ against materialising it."""

import torch

from reprise.core.ratios import compare, write
from reprise.matrix_sensing import SensingProblem


def steps(problem, matrices, k):
    """Our step and that with matrices formed, on a factor of k columns."""
    U = 0.1 * torch.eye(problem.dimension, k)

    def ours():
        return problem.measurements.pullback(U, lambda p: (p - problem.targets) / problem.count)[1]

    def materialised():
        residual = (torch.einsum("mij,ij->m", matrices, U @ U.T) - problem.targets) / problem.count
        return torch.einsum("m,mij->ij", residual, matrices) @ U

    torch.testing.assert_close(ours(), materialised(), rtol=1e-3, atol=1e-2)
    return ours, materialised


if __name__ == "__main__":
    given = SensingProblem.quadratic_network(200, 5, 10_000, seed=0, dtype=torch.float32)
    vectors = given.measurements.vectors
    formed = vectors.unsqueeze(2) * vectors.unsqueeze(1)  # m × d × d: 1.5 GB
    facts = {"our_mb": vectors.numel() * 4 / 2**20, "peer_mb": formed.numel() * 4 / 2**20}
    write(
        __file__,
        [
            compare(f"rank-one step, {k} columns, against x xᵀ formed", *steps(given, formed, k), repeats=5, **facts)
            for k in (5, 200)
        ],
        libraries=["torch"],
    )
