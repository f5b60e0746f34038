"""Run by torchrun in each of two processes: products over two shards equal those over all data."""

import os

import torch
from torch import distributed as dist
from torch import nn
from torch.nn import functional as F

from reprise.hvp import Hessian, eigsh, trace


def main() -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))
    data = [(torch.randn(n, 4), torch.randint(3, (n,))) for n in (8, 8, 8, 5)]
    shard = data[:1] if rank == 0 else data[1:]  # of different sizes
    options = {"strategy": os.environ.get("STRATEGY", "retained")}
    H = Hessian(model, F.cross_entropy, shard, process_group="world", **options)
    whole = Hessian(model, F.cross_entropy, data, **options)

    torch.manual_seed(rank)  # other vectors on each: those of the first count
    V = torch.randn(H.size, 3)
    product = H @ V
    dist.broadcast(V, 0)
    worst = float((product - whole @ V).norm() / (whole @ V).norm())
    worst = max(worst, float((H.gradient() - whole.gradient()).norm() / whole.gradient().norm()))
    assert abs(H.value() - whole.value()) < 1e-6 * whole.value()
    assert worst < 1e-6, worst
    values = eigsh(H, k=2).values
    torch.testing.assert_close(values, eigsh(whole, k=2).values, rtol=1e-4, atol=1e-6)
    ours, theirs = (trace(A, method="hutchinson", products=20) for A in (H, whole))
    assert abs(ours.value - theirs.value) < 1e-4 * abs(theirs.value)
    torch.testing.assert_close(H.block("0.weight").dense(), whole.block("0.weight").dense(), rtol=1e-4, atol=1e-6)

    failed = False
    try:
        Hessian(model, F.cross_entropy, shard if rank == 0 else [], process_group="world", **options)
    except ValueError:
        failed = True
    assert failed, "one process had no data, and the other did not hear of it"
    if rank == 0:
        print(f"relative difference {worst:.2e}")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
