"""Products, blocks, spectra and traces beside curvlinops and PyHessian: H1-H6, H8 and H9 of the README, in one process.

Writes bench_hvp.json beside this file; `figure.py` draws it. Times are compared only as ratios of runs that alternate.
Arguments name the parts to measure anew ("H4", "products, CNN"); all by default.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import math
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import figure
import numpy as np
import torch
from curvlinops import HessianLinearOperator
from measure import machine, ratios, spread
from pyhessian import hessian as PyHessian
from scipy.sparse.linalg import eigsh as arpack
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from workloads import TRAINED, WORKLOADS, Workload, mlp, train

from reprise.core.ratios import peak_tensor_bytes
from reprise.hvp import Hessian, eigsh, spectral_density, trace

RECORD = Path(__file__).with_suffix(".json")
Results = dict[str, Any]


def gradient_of(workload: Workload) -> Callable[[], Any]:
    """One gradient of the batch's loss: the unit of cost."""
    model, loss, [(x, y)] = workload
    params = list(model.parameters())
    return lambda: torch.autograd.grad(loss(model(x), y), params)


def curvlinops_of(workload: Workload) -> Any:
    """The same Hessian in curvlinops."""
    model, _, data = workload
    return HessianLinearOperator(
        model, nn.CrossEntropyLoss(), list(model.parameters()), data, check_deterministic=False
    )


def products(name: str) -> Results:
    """H1, H2, H3: a product in gradients, and products with one and with 32 vectors beside curvlinops."""
    workload = WORKLOADS[name]()
    H, peer = Hessian(*workload), curvlinops_of(workload)
    v, V = torch.randn(H.size), torch.randn(H.size, 32)
    model, loss, [(x, y)] = copy.deepcopy(workload)
    wide = [(x.double() if x.is_floating_point() else x, y)]
    exact = Hessian(model.double(), loss, wide, strategy="reverse-over-reverse") @ v.double()
    errors = {key: float((A @ v - exact).norm() / exact.norm()) for key, A in (("reprise", H), ("curvlinops", peer))}
    assert errors["reprise"] < 1e-5, f"{name}: the product is off by {errors['reprise']}"
    in_gradients = [1 / r for r in ratios(lambda: H @ v, gradient_of(workload), 31)]
    return {
        "relative error": {key: float(f"{error:.2g}") for key, error in errors.items()},
        "H1": spread(in_gradients) | {"strategy": H.strategy, "parameters": H.size},
        "H2": spread(ratios(lambda: H @ v, lambda: peer @ v, 21)),
        "H3": spread(ratios(lambda: H @ V, lambda: peer @ V, 5)) | {"block": H._engine.multiply_block.choice},
    }


def spectra() -> Results:
    """H4: the top five eigenpairs to a residual of 1e-3, and the density from 5 starts of 80 steps."""
    workload = mlp()
    train(workload, 100)
    model, _, [(x, y)] = workload
    H, peer = Hessian(*workload), curvlinops_of(workload).to_scipy()

    def pyhessian() -> Any:
        # PyHessian 0.1 calls a function that torch has since removed
        torch.eig = lambda matrix, eigenvectors: _real_eigenpairs(matrix)
        return PyHessian(model, nn.CrossEntropyLoss(), data=(x, y), cuda=False)

    def power_iteration() -> Any:
        with contextlib.redirect_stdout(io.StringIO()):
            return pyhessian().eigenvalues(maxIter=100, tol=1e-3, top_n=5)

    def restarted() -> Any:
        return arpack(peer, k=5, which="LM", tol=1e-3)

    def from_the_start() -> Any:
        return eigsh(Hessian(*workload), k=5)

    def restarted_from_the_start() -> Any:
        return arpack(curvlinops_of(workload).to_scipy(), k=5, which="LM", tol=1e-3)

    ours = eigsh(H, k=5)
    reference = restarted()[0]
    return {
        "eigenvalues": {
            "reprise": [round(float(value), 4) for value in ours.values],
            "curvlinops + eigsh": [round(float(value), 4) for value in sorted(reference, key=abs, reverse=True)],
            "PyHessian": [round(float(value), 4) for value in power_iteration()[0]],
        },
        "products": ours.products,
        "largest residual over top eigenvalue": round(float(ours.residuals.max() / ours.values[0].abs()), 6),
        "top five, PyHessian": spread(ratios(lambda: eigsh(H, k=5), power_iteration, 5)),
        "top five, curvlinops + eigsh": spread(ratios(lambda: eigsh(H, k=5), restarted, 7)),
        "top five with construction, PyHessian": spread(ratios(from_the_start, power_iteration, 5)),
        "top five with construction, curvlinops + eigsh": spread(ratios(from_the_start, restarted_from_the_start, 7)),
        "density, PyHessian": spread(
            ratios(lambda: spectral_density(H), lambda: pyhessian().density(iter=80, n_v=5), 3)
        ),
    }


def _real_eigenpairs(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    values, vectors = torch.linalg.eig(matrix)
    return torch.stack([values.real, values.imag], dim=1), vectors.real


def traces() -> Results:
    """H5: products to 1 % relative standard error on trained networks, from fast to slowly decaying spectra."""
    found: Results = {}
    for name, build in TRAINED.items():
        H = Hessian(*build())
        ours = [trace(H, products=4000, rtol=0.01, generator=seed) for seed in range(3)]
        plain = [trace(H, method="hutchinson", products=40_000, rtol=0.01, generator=seed) for seed in range(3)]
        found[name] = {
            "parameters": H.size,
            "xtrace": {"products": [e.products for e in ours], "values": [round(e.value, 4) for e in ours]},
            "hutchinson": {"products": [e.products for e in plain], "values": [round(e.value, 4) for e in plain]},
            "median ratio": round(median(e.products for e in plain) / median(e.products for e in ours), 2),
        }
    return found


def calibration(size: int = 300, count: int = 60, repeats: int = 200) -> Results:
    """Errors of XTrace and Hutchinson at as many products, and how often ±1.96 of their standard errors cover."""
    spectra = {
        "decaying, 1/i²": torch.arange(1, size + 1).double() ** -2.0,
        "indefinite": torch.linspace(-1, 1, size).double() ** 3 + 0.1,
        "flat": torch.linspace(0.9, 1.1, size).double(),
    }
    found: Results = {}
    for name, values in spectra.items():
        basis = torch.linalg.qr(torch.randn(size, size, dtype=torch.float64))[0]
        matrix = basis @ torch.diag(values) @ basis.T
        matrix, truth = (matrix + matrix.T) / 2, float(values.sum())
        found[name] = {}
        for method in ("xtrace", "hutchinson"):
            estimates = [trace(matrix, method=method, products=count, generator=seed) for seed in range(repeats)]
            errors = [e.value - truth for e in estimates]
            covered = sum(abs(error) <= 1.96 * e.stderr for error, e in zip(errors, estimates))
            rms = math.sqrt(sum(error**2 for error in errors) / repeats)
            found[name][method] = {
                "root mean square error over trace": float(f"{rms / abs(truth):.3g}"),
                "mean error over its standard error": round(sum(errors) / repeats / (rms / math.sqrt(repeats)), 2),
                "coverage": covered / repeats,
            }
    return found


def memory() -> Results:
    """H6: one streamed product's peak memory in that of a gradient."""
    found: Results = {}
    for name, build in WORKLOADS.items():
        workload = build()
        gradient = peak_tensor_bytes(gradient_of(workload))
        found[name] = {"gradient MB": round(gradient / 1e6, 1)}
        for strategy in ("linearize", "reverse-over-reverse"):
            H = Hessian(*workload, strategy=strategy, resident=False)
            v = torch.randn(H.size)
            found[name][strategy] = round(peak_tensor_bytes(lambda H=H, v=v: H @ v) / gradient, 2)
    return found


def scaling() -> Results:
    """H9: slopes of the time on log-log axes, the sizes taken in turn within each round."""

    def slope(sizes: list[int], axis: list[int], build: Callable[[int], Workload]) -> Results:
        operators = [Hessian(*build(size), strategy="linearize") for size in sizes]
        vectors = [torch.randn(H.size) for H in operators]
        slopes = []
        for turn in range(16):
            times = []
            for H, v in zip(operators, vectors):
                start = time.perf_counter()
                H @ v
                times.append(time.perf_counter() - start)
            if turn:  # the first one traces
                slopes.append(float(np.polyfit(np.log(axis), np.log(times), 1)[0]))
        return spread(slopes)

    batches = [256, 512, 1024, 2048]
    widths = [512, 724, 1024, 1448]
    sizes = [sum(p.numel() for p in mlp(1, width)[0].parameters()) for width in widths]
    return {
        "batch": slope(batches, batches, lambda batch: mlp(batch)),
        "parameters": slope(widths, sizes, lambda width: mlp(256, width)),
    }


def processes() -> Results:
    """H8: two processes with gloo against one."""
    script = Path(__file__).parents[1] / "tests" / "two_processes.py"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)]
    outcome = subprocess.run(command, capture_output=True, text=True, check=True)
    line = next(line for line in outcome.stdout.splitlines() if line.startswith("relative difference"))
    return {"relative difference": float(line.split()[-1])}


def main() -> None:
    """Run everything, write the record and the figure."""
    torch.manual_seed(0)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    warnings.simplefilter("ignore")
    parts: dict[str, Callable[[], Results]] = {
        **{f"products, {name}": lambda name=name: products(name) for name in WORKLOADS},
        "H4": spectra,
        "H5": traces,
        "calibration": calibration,
        "H6": memory,
        "H8": processes,
        "H9": scaling,
    }
    wanted = sys.argv[1:] or list(parts)
    results: Results = json.loads(RECORD.read_text(encoding="utf-8"))["results"] if sys.argv[1:] else {}
    for title in wanted:
        # gradients and peers run the same attention kernel as ours, the one that has second derivatives
        with sdpa_kernel(SDPBackend.MATH):
            results[title] = parts[title]()
        print(title, json.dumps(results[title], ensure_ascii=False), flush=True)
        ordered = {title: results[title] for title in parts if title in results}
        text = json.dumps({"machine": machine(), "results": ordered}, indent=2, ensure_ascii=False)
        RECORD.write_text(text + "\n", encoding="utf-8")
    figure.draw()


if __name__ == "__main__":
    main()
