"""Products, blocks, spectra and traces beside curvlinops and PyHessian: H1-H9 of the README, in one process.

Writes bench_hvp.json (with the machine's description) and bench_hvp.svg beside this file. Every number is a ratio of
times that alternate within one run, with its quartiles; nothing compares times of different runs.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import platform
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

import reprise.hvp as hvp

HERE = Path(__file__).parent
Workload = tuple[nn.Module, Callable[[Tensor, Tensor], Tensor], list[tuple[Tensor, Tensor]]]


class Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.qkv = nn.Linear(width, 3 * width)
        self.mix = nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norms[0](x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        x = x + self.mix(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2))
        return x + self.mlp(self.norms[1](x))


class Transformer(nn.Module):
    def __init__(self, width: int = 128, vocabulary: int = 256, layers: int = 4, length: int = 64) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.places = nn.Parameter(0.02 * torch.randn(length, width))
        self.blocks = nn.Sequential(*[Block(width, 4) for _ in range(layers)])
        self.readout = nn.Linear(width, vocabulary)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.readout(self.blocks(self.tokens(tokens) + self.places)).flatten(0, 1)


def mlp(batch: int = 256, width: int = 512) -> Workload:
    model = nn.Sequential(nn.Linear(256, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 10))
    return model, F.cross_entropy, [(torch.randn(batch, 256), torch.randint(10, (batch,)))]


def cnn() -> Workload:
    model = nn.Sequential(
        *(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3, padding=1, stride=2), nn.ReLU()),
        *(nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10)),
    )
    return model, F.cross_entropy, [(torch.randn(64, 3, 32, 32), torch.randint(10, (64,)))]


def transformer() -> Workload:
    return Transformer(), F.cross_entropy, [(torch.randint(256, (16, 64)), torch.randint(256, (16 * 64,)))]


WORKLOADS = {"MLP": mlp, "CNN": cnn, "transformer": transformer}


def ratios(ours: Callable[[], Any], theirs: Callable[[], Any], repeats: int) -> list[float]:
    """Times of `theirs` over those of `ours`, pairs of runs in alternating order, after one run of each."""
    ours(), theirs()
    found = []
    for turn in range(repeats):
        order = (ours, theirs) if turn % 2 else (theirs, ours)
        times = {}
        for function in order:
            start = time.perf_counter()
            function()
            times[function] = time.perf_counter() - start
        found.append(times[theirs] / times[ours])
    return found


def spread(values: list[float]) -> dict[str, float]:
    low, _, high = quantiles(values, n=4)
    return {"median": round(median(values), 3), "lower": round(low, 3), "upper": round(high, 3), "repeats": len(values)}


def gradient_of(workload: Workload) -> Callable[[], Any]:
    model, loss, [(x, y)] = workload
    params = list(model.parameters())
    return lambda: torch.autograd.grad(loss(model(x), y), params)


def peer_of(workload: Workload) -> Any:
    from curvlinops import HessianLinearOperator

    model, loss, data = workload
    criterion = nn.CrossEntropyLoss() if loss is F.cross_entropy else loss
    return HessianLinearOperator(model, criterion, list(model.parameters()), data, check_deterministic=False)


def train(workload: Workload, steps: int, step_size: float = 0.05) -> None:
    model, loss, [(x, y)] = workload
    optimizer = torch.optim.SGD(model.parameters(), lr=step_size, momentum=0.9)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()


def products(results: dict[str, Any]) -> None:
    """H1, H2, H3."""
    for name, build in WORKLOADS.items():
        workload = build()
        H = hvp.Hessian(*workload)
        peer = peer_of(workload)
        v, V = torch.randn(H.size), torch.randn(H.size, 32)
        expected = peer @ v
        agreement = float((H @ v - expected).norm() / expected.norm())
        assert agreement < 1e-4, f"{name}: products differ by {agreement}"
        in_gradients = [1 / r for r in ratios(lambda: H @ v, gradient_of(workload), 21)]
        results[f"H1 {name}"] = spread(in_gradients) | {"strategy": H.strategy, "parameters": H.size}
        results[f"H2 {name}"] = spread(ratios(lambda: H @ v, lambda: peer @ v, 11))
        results[f"H3 {name}"] = spread(ratios(lambda: H @ V, lambda: peer @ V, 3)) | {"block": H._engine.block}
        for key in (f"H1 {name}", f"H2 {name}", f"H3 {name}"):
            print(key, results[key], flush=True)


def spectra(results: dict[str, Any]) -> None:
    """H4: the top five pairs to a residual of 1e-3, and the density from 5 starts of 80 steps."""
    from pyhessian import hessian as PyHessian
    from scipy.sparse.linalg import eigsh as arpack

    workload = mlp()
    train(workload, 100)
    model, _, [(x, y)] = workload
    H = hvp.Hessian(*workload)
    peer = peer_of(workload).to_scipy()

    def theirs() -> Any:
        with contextlib.redirect_stdout(io.StringIO()):
            return PyHessian(model, nn.CrossEntropyLoss(), data=(x, y), cuda=False).eigenvalues(
                maxIter=100, tol=1e-3, top_n=5
            )

    ours = hvp.eigsh(H, k=5)
    values = theirs()[0]
    reference = arpack(peer, k=5, which="LM", tol=1e-3)[0]
    reference = reference[np.abs(reference).argsort()[::-1]]
    results["H4 eigenvalues"] = {
        "reprise": [round(float(v), 4) for v in ours.values],
        "scipy": [round(float(v), 4) for v in reference],
        "pyhessian": [round(float(v), 4) for v in values],
        "products": ours.products,
        "largest residual over λ₁": round(float(ours.residuals.max() / ours.values[0].abs()), 6),
    }
    results["H4 top five, PyHessian"] = spread(ratios(lambda: hvp.eigsh(H, k=5), theirs, 3))
    results["H4 top five, curvlinops + eigsh"] = spread(
        ratios(lambda: hvp.eigsh(H, k=5), lambda: arpack(peer, k=5, which="LM", tol=1e-3), 3)
    )

    def their_density() -> Any:
        return PyHessian(model, nn.CrossEntropyLoss(), data=(x, y), cuda=False).density(iter=80, n_v=5)

    results["H4 density, PyHessian"] = spread(ratios(lambda: hvp.spectral_density(H), their_density, 2))
    for key in [key for key in results if key.startswith("H4")]:
        print(key, results[key], flush=True)


def traces(results: dict[str, Any]) -> None:
    """H5: products to 1 % relative standard error on a trained network."""
    workload = mlp(batch=256, width=64)
    train(workload, 300, 0.2)
    H = hvp.Hessian(*workload)
    ours = [hvp.trace(H, products=4000, rtol=0.01, generator=seed) for seed in range(3)]
    plain = [hvp.trace(H, method="hutchinson", products=40_000, rtol=0.01, generator=seed) for seed in range(3)]
    results["H5"] = {
        "parameters": H.size,
        "xtrace products": [e.products for e in ours],
        "hutchinson products": [e.products for e in plain],
        "xtrace values": [round(e.value, 4) for e in ours],
        "hutchinson values": [round(e.value, 4) for e in plain],
        "median ratio": round(median(e.products for e in plain) / median(e.products for e in ours), 2),
    }
    print("H5", results["H5"], flush=True)


def peak_bytes(function: Callable[[], Any]) -> int:
    """Most memory of tensors alive at once above what was there before, from the profiler's record of allocations."""
    function()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profiler:
        function()
    level = highest = 0
    for event in profiler.profiler.kineto_results.events():
        if event.name() == "[memory]":
            level += event.nbytes()
            highest = max(highest, level)
    return highest


def memory(results: dict[str, Any]) -> None:
    """H6: one streamed product's peak memory in that of a gradient."""
    for name, build in WORKLOADS.items():
        workload = build()
        gradient = peak_bytes(gradient_of(workload))
        for strategy in ("linearize", "reverse-over-reverse"):
            H = hvp.Hessian(*workload, strategy=strategy, resident=False)
            v = torch.randn(H.size)
            ratio = peak_bytes(lambda H=H, v=v: H @ v) / gradient
            results[f"H6 {name}, {strategy}"] = {"ratio": round(ratio, 2), "gradient MB": round(gradient / 1e6, 1)}
            print(f"H6 {name}, {strategy}", results[f"H6 {name}, {strategy}"], flush=True)


def scaling(results: dict[str, Any]) -> None:
    """H9: slopes of the time on log-log axes, the sizes taken in turn within each round."""

    def slope(sizes: list[int], axis: list[int], build: Callable[[int], Workload]) -> dict[str, Any]:
        operators = [hvp.Hessian(*build(size), strategy="linearize") for size in sizes]
        vectors = [torch.randn(H.size) for H in operators]
        for H, v in zip(operators, vectors):
            H @ v
        slopes = []
        for _ in range(15):
            times = []
            for H, v in zip(operators, vectors):
                start = time.perf_counter()
                H @ v
                times.append(time.perf_counter() - start)
            slopes.append(float(np.polyfit(np.log(axis), np.log(times), 1)[0]))
        return spread(slopes)

    batches = [256, 512, 1024, 2048]
    results["H9 batch"] = slope(batches, batches, lambda batch: mlp(batch))
    widths = [512, 724, 1024, 1448]
    sizes = [sum(p.numel() for p in mlp(1, width)[0].parameters()) for width in widths]
    results["H9 parameters"] = slope(widths, sizes, lambda width: mlp(256, width))
    print("H9", results["H9 batch"], results["H9 parameters"], flush=True)


def distributed(results: dict[str, Any]) -> None:
    """H8: two processes with gloo against one."""
    script = Path(__file__).parents[1] / "tests" / "two_processes.py"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)]
    outcome = subprocess.run(command, capture_output=True, text=True, check=True)
    line = next(line for line in outcome.stdout.splitlines() if line.startswith("relative difference"))
    results["H8"] = {"relative difference": float(line.split()[-1])}
    print("H8", results["H8"], flush=True)


def machine() -> dict[str, Any]:
    cpu = platform.processor()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        cpu = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    packages = ["torch", "numpy", "scipy", "curvlinops-for-pytorch", "pyhessian", "reprise-hvp"]
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "accelerator": None,
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
    }


def draw(results: dict[str, Any]) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(8, 2.8), layout="constrained")
    names = list(WORKLOADS)
    for offset, (key, label, grey) in enumerate((("H2", "one vector", "0.3"), ("H3", "block of 32", "0.7"))):
        middle = [results[f"{key} {name}"]["median"] for name in names]
        low = [m - results[f"{key} {name}"]["lower"] for m, name in zip(middle, names)]
        high = [results[f"{key} {name}"]["upper"] - m for m, name in zip(middle, names)]
        places = np.arange(3) + 0.4 * offset - 0.2
        axes[1].bar(places, middle, 0.4, yerr=[low, high], color=grey, label=label, capsize=3)
    axes[1].axhline(1, color="black", linewidth=0.8)
    axes[1].set(xticks=range(3), xticklabels=names, ylabel="times faster than curvlinops")
    axes[1].legend()
    middle = [results[f"H1 {name}"]["median"] for name in names]
    low = [m - results[f"H1 {name}"]["lower"] for m, name in zip(middle, names)]
    high = [results[f"H1 {name}"]["upper"] - m for m, name in zip(middle, names)]
    axes[0].bar(range(3), middle, 0.5, yerr=[low, high], color="0.3", capsize=3)
    axes[0].axhline(2.0, color="black", linewidth=0.8, linestyle="--")
    axes[0].text(2.45, 2.02, "arithmetic limit", ha="right", va="bottom", fontsize=8)
    axes[0].set(xticks=range(3), xticklabels=names, ylabel="one product, in gradients")
    with mpl.rc_context({"svg.hashsalt": "hvp"}):
        figure.savefig(HERE / "bench_hvp.svg", metadata={"Date": None})
        figure.savefig(HERE / "bench_hvp.png", dpi=150)


def main() -> None:
    """Run everything, write the record and the figure."""
    torch.manual_seed(0)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    warnings.simplefilter("ignore")
    results: dict[str, Any] = {}
    for part in (products, spectra, traces, memory, scaling, distributed):
        # gradients and peers run the same attention kernel as ours, the one that has second derivatives
        with sdpa_kernel(SDPBackend.MATH):
            part(results)
        record = {"machine": machine(), "results": results}
        text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
        (HERE / "bench_hvp.json").write_text(text, encoding="utf-8")
    draw(results)


if __name__ == "__main__":
    main()
