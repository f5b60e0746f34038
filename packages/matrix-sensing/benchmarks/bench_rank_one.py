"""One step on rank-one measurements, d = 200 and m = 10,000: never forming x xᵀ against materialising it."""

import torch
from ratios import compare, write

from reprise.matrix_sensing import DenseMeasurements, SensingProblem
from reprise.matrix_sensing.measurements.packing import Packing

if __name__ == "__main__":
    d, m, k = 200, 10_000, 200
    problem = SensingProblem.quadratic_network(d, 5, m, seed=0, dtype=torch.float32)
    vectors = problem.measurements.vectors
    matrices = vectors.unsqueeze(2) * vectors.unsqueeze(1)  # m × d × d: 1.6 GB
    U = 0.1 * torch.eye(d, k)

    def ours():  # noqa: D103
        return problem.measurements.pullback(U, lambda p: (p - problem.targets) / m)[1]

    def materialised():  # noqa: D103
        residual = (torch.einsum("mij,ij->m", matrices, U @ U.T) - problem.targets) / m
        return torch.einsum("m,mij->ij", residual, matrices) @ U

    torch.testing.assert_close(ours(), materialised(), rtol=1e-3, atol=1e-2)
    facts = {"our_mb": vectors.numel() * 4 / 2**20, "peer_mb": matrices.numel() * 4 / 2**20}
    results = [compare("rank-one step against materialised x xᵀ", ours, materialised, repeats=5, **facts)]
    packing = Packing(d, torch.float32, vectors.device)
    packed = DenseMeasurements(torch.cat([packing.pack(part) for part in matrices.split(500)]), d)
    del matrices
    facts["peer_mb"] = packed.packed.numel() * 4 / 2**20
    results.append(
        compare(
            "rank-one step against our packed dense operator",
            ours,
            lambda: packed.pullback(U, lambda p: (p - problem.targets) / m)[1],
            repeats=5,
            **facts,
        )
    )
    write(__file__, results)
