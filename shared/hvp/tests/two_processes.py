"""Run by torchrun in each of two processes: products over two shards equal those over all data."""

import torch
from torch import distributed as dist
from torch import nn
from torch.distributed.tensor import DeviceMesh, distribute_tensor
from torch.nn import functional as F

from reprise.hvp import Hessian, eigsh, trace


def main() -> None:
    """Compare the strategies, then the errors."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))
    data = [(torch.randn(n, 4), torch.randint(3, (n,))) for n in (8, 8, 8, 5)]
    shard = data[:1] if rank == 0 else data[1:]  # of different sizes
    worst = max(difference(model, data, shard, strategy) for strategy in ("retained", "linearize"))
    assert worst < 1e-6, worst

    refused = False
    try:
        Hessian(model, F.cross_entropy, shard if rank == 0 else [], process_group="world")
    except ValueError:
        refused = True
    assert refused, "one process had no data, and the other did not hear of it"

    sharded = distribute_tensor(torch.ones(4), DeviceMesh("cpu", list(range(2))))
    refused = False
    try:
        Hessian.of(lambda x: (x**2).sum(), sharded)
    except TypeError as error:
        refused = "sharded" in str(error)
    assert refused, "a sharded parameter was not refused"

    if rank == 0:
        print(f"relative difference {worst:.2e}")
    dist.destroy_process_group()


def difference(model: nn.Module, data: list, shard: list, strategy: str) -> float:
    """Largest relative difference of products and gradients between two processes and one."""
    H = Hessian(model, F.cross_entropy, shard, process_group="world", strategy=strategy)
    whole = Hessian(model, F.cross_entropy, data, strategy=strategy)
    torch.manual_seed(dist.get_rank())  # other vectors on each: those of the first count
    V = torch.randn(H.size, 3)
    product = H @ V
    dist.broadcast(V, 0)
    pairs = [(product, whole @ V), (H.gradient(), whole.gradient())]
    assert abs(H.value() - whole.value()) < 1e-6 * whole.value()
    torch.testing.assert_close(eigsh(H, k=2).values, eigsh(whole, k=2).values, rtol=1e-4, atol=1e-6)
    ours, theirs = (trace(A, method="hutchinson", products=20) for A in (H, whole))
    assert abs(ours.value - theirs.value) < 1e-4 * abs(theirs.value)
    torch.testing.assert_close(H.block("0.weight").dense(), whole.block("0.weight").dense(), rtol=1e-4, atol=1e-6)
    return max(float((ours - theirs).norm() / theirs.norm()) for ours, theirs in pairs)


if __name__ == "__main__":
    main()
