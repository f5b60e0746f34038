"""One step on dense measurements: packed triangles and closed form against einsum and autograd; and how it scales."""

import numpy as np
import torch

from reprise.core.ratios import compare, seconds, write
from reprise.matrix_sensing import SensingProblem


def steps(d: int, m: int):
    """Our step and the common one, on the same measurements in float32, and the bytes that each keeps."""
    problem = SensingProblem.gaussian(d, 5, m, seed=0, dtype=torch.float32)
    matrices = problem.measurements.matrices()
    U = 0.1 * torch.eye(d)

    def ours():
        _, product = problem.measurements.pullback(U, lambda p: (p - problem.targets) / m)
        return U - 0.05 * product

    def common():
        V = U.detach().requires_grad_()
        loss = (torch.einsum("mij,ij->m", matrices, V @ V.T) - problem.targets).square().sum() / (2 * m)
        (gradient,) = torch.autograd.grad(loss, V)
        return U - 0.05 / 2 * gradient

    torch.testing.assert_close(ours(), common(), rtol=1e-4, atol=1e-5)
    packed = problem.measurements.packed
    return ours, common, packed.numel() * packed.element_size(), matrices.numel() * matrices.element_size()


if __name__ == "__main__":
    results = []
    ours, common, our_bytes, common_bytes = steps(100, 2500)
    result = compare(
        "dense step, d = 100, m = 2500, against einsum with autograd",
        ours,
        common,
        calls=10,
        repeats=7,
        our_mb=our_bytes / 2**20,
        peer_mb=common_bytes / 2**20,
    )
    source = torch.ones(our_bytes // 4)
    target = torch.empty_like(source)
    copied = min(seconds(lambda: target.copy_(source), 5) for _ in range(7))
    result["step_gb_per_s"] = 2 * our_bytes / (result["ours_ms"] * 1e6)  # a step reads the array twice
    result["copy_gb_per_s"] = 2 * our_bytes / copied / 1e9  # a copy reads and writes it
    print(f"  achieved {result['step_gb_per_s']:.1f} GB/s; a copy {result['copy_gb_per_s']:.1f} GB/s")
    results.append(result)

    sizes = (40, 60, 80, 120)
    times = []
    for d in sizes:
        ours, *_ = steps(d, 1600)
        times.append(min(seconds(ours, 10) for _ in range(7)))
    slope = float(np.polyfit(np.log(sizes), np.log(times), 1)[0])
    print(f"time of a dense step grows with d to the power {slope:.2f} at fixed m (2 expected)")
    results.append({"work": "scaling of the dense step in d, m = 1600", "slope": slope, "expected": 2.0})
    write(__file__, results, libraries=["torch"])
