"""vᵀHv per example and layer: one forward-mode pass per layer against a double backward per example; and traces."""

import time

import torch
from pyhessian import hessian as PyHessian
from torch import nn

from reprise.core.ratios import compare, seconds, write
from reprise.hvp import Hessian, trace
from reprise.robust_fine_tuning import hessian_distance


def network(width: int) -> nn.Module:
    """Four layers of rectified units."""
    return nn.Sequential(
        *(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()),
        *(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10)),
    )


def loop(model, moved, x, y):
    """The authors' loop with its flaw mended: batches of one, a double backward per example and layer's own block."""
    weights = {name: p for name, p in model.named_parameters() if name in moved}
    rows = []
    for i in range(len(y)):
        loss = nn.functional.cross_entropy(model(x[i : i + 1]), y[i : i + 1])
        gradients = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
        row = []
        for gradient, (name, weight) in zip(gradients, weights.items()):
            product = torch.autograd.grad((gradient * moved[name]).sum(), weight, retain_graph=True)[0]
            row.append((product * moved[name]).sum())
        rows.append(torch.stack(row))
    return torch.stack(rows)


if __name__ == "__main__":
    torch.manual_seed(0)
    torch.set_num_threads(1)
    results = []
    for width in (64, 256):
        model = network(width).eval()
        state = {name: p.detach() * 0.9 for name, p in model.named_parameters()}
        moved = {name: p.detach() - state[name] for name, p in model.named_parameters() if p.ndim == 2}
        x, y = torch.randn(256, 64), torch.arange(256) % 10

        def ours(model=model, state=state, x=x, y=y):
            """All examples at once."""
            return hessian_distance(model, state, (x, y), method="ggn")

        def peer(model=model, moved=moved, x=x, y=y):
            """One example after another."""
            return loop(model, moved, x, y)

        torch.testing.assert_close(ours().per_example, peer().detach(), rtol=1e-3, atol=1e-6)
        results.append(
            compare(
                f"vᵀH⁺v, 256 examples, 4 layers of width {width}",
                ours,
                peer,
                repeats=7,
                clock=time.process_time,
                goal=10,
            )
        )

    model = network(128).eval()
    x, y = torch.randn(512, 64), torch.arange(512) % 10
    H = Hessian(model, nn.functional.cross_entropy, [(x, y)], check=False)
    peers = PyHessian(model, nn.CrossEntropyLoss(), data=(x, y), cuda=False)
    results.append(
        compare(
            "Hessian trace by 50 products, PyHessian with tol=0",
            lambda: trace(H, method="hutchinson", products=50),
            lambda: peers.trace(maxIter=50, tol=0.0),
            repeats=7,
            clock=time.process_time,
        )
    )
    model = network(64).eval()
    state = {name: p.detach() * 0.9 for name, p in model.named_parameters()}
    times = {}
    for count in (1024, 4096, 16384):
        data = (torch.randn(count, 64), torch.arange(count) % 10)
        hessian_distance(model, state, data, method="ggn")
        times[count] = min(
            seconds(lambda data=data: hessian_distance(model, state, data, method="ggn"), clock=time.process_time)
            for _ in range(9)
        )
    slope = float(torch.tensor([times[16384] / times[4096]]).log() / torch.tensor([4.0]).log())
    print(f"time grows with the examples to the power {slope:.2f} from 4,096 to 16,384 (1 expected)")
    results.append({"work": "time against examples, ggn", "slope": slope, "expected": 1.0})
    write(__file__, results, libraries=("torch", "pyhessian"))
