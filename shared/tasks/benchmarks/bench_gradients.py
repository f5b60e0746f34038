"""Per-sample gradients of a log-probability, p = 5 000: vmapped in chunks, and by a loop of backward passes.

Times are CPU seconds on one thread.
"""

from __future__ import annotations

import time

import torch
from record import record, spread
from torch import nn

from reprise.tasks import parameter_count, sample_gradients

SAMPLES, REPEATS = 2048, 5


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
    sample_gradients(model, log_probability, samples, chunk_size=256)  # the first call sets up the transforms
    ratios, ours = [], []
    for _ in range(REPEATS):
        start = time.process_time()
        found = sample_gradients(model, log_probability, samples, chunk_size=256).features
        middle = time.process_time()
        expected = loop(model, *samples)
        end = time.process_time()
        ours.append(middle - start)
        ratios.append((end - middle) / (middle - start))
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    record(
        "bench_gradients",
        {
            "setting": {"samples": SAMPLES, "parameters": parameter_count(model)},
            "ours_seconds": spread(ours),
            "ratio_to_loop": spread(ratios),
        },
    )


if __name__ == "__main__":
    main()
