"""Per-sample gradients of a log-probability, p = 5 000: vmapped in chunks, and by a loop of backward passes;
left whole, and projected to d = 400 as the pipeline does.

Times are CPU seconds on one thread.
"""

from __future__ import annotations

import time

import torch
from record import record, spread
from torch import nn

from reprise.tasks import RandomProjection, parameter_count, sample_gradients

SAMPLES, DIM, REPEATS = 2048, 400, 5


def log_probability(model: nn.Module, observation: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
    """Log-probability of one action."""
    return model(observation).log_softmax(-1).gather(-1, action[..., None]).squeeze(-1)


def loop(model: nn.Module, observations: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
    """One backward pass per sample."""
    rows = []
    for observation, action in zip(observations, actions):
        gradients = torch.autograd.grad(log_probability(model, observation, action), list(model.parameters()))
        rows.append(torch.cat([gradient.flatten() for gradient in gradients]))
    return torch.stack(rows)


def main() -> None:
    """Time both in turn on the same samples."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 66), nn.Tanh(), nn.Linear(66, 66), nn.Tanh(), nn.Linear(66, 4))
    samples = torch.randn(SAMPLES, 8), torch.randint(4, (SAMPLES,))
    sample_gradients(model, log_probability, samples)  # the first call sets up the transforms
    projection = RandomProjection(parameter_count(model), DIM)
    results: dict[str, object] = {"setting": {"samples": SAMPLES, "parameters": projection.rows, "dim": DIM}}
    for name, chosen in (("whole", None), ("projected", projection)):
        ratios, ours = [], []
        for _ in range(REPEATS):
            start = time.process_time()
            found = sample_gradients(model, log_probability, samples, projection=chosen).features
            middle = time.process_time()
            expected = loop(model, *samples)
            if chosen is not None:
                expected = chosen.project(expected)
            end = time.process_time()
            ours.append(middle - start)
            ratios.append((end - middle) / (middle - start))
            torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-3)
        results[name] = {"ours_seconds": spread(ours), "ratio_to_loop": spread(ratios)}
    record("bench_gradients", results)


if __name__ == "__main__":
    main()
