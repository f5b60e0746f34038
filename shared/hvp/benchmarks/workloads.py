"""The models and batches that the benchmark multiplies with."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Workload = tuple[nn.Module, Callable[[Tensor, Tensor], Tensor], list[tuple[Tensor, Tensor]]]


class Block(nn.Module):
    """Causal attention and a feed-forward network, each behind a LayerNorm."""

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
    """A decoder of 4 blocks, width 128, for sequences of 64 tokens."""

    def __init__(self, width: int = 128, vocabulary: int = 256, layers: int = 4, length: int = 64) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.places = nn.Parameter(0.02 * torch.randn(length, width))
        self.blocks = nn.Sequential(*[Block(width, 4) for _ in range(layers)])
        self.readout = nn.Linear(width, vocabulary)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.readout(self.blocks(self.tokens(tokens) + self.places)).flatten(0, 1)


def mlp(batch: int = 256, width: int = 512) -> Workload:
    """256 inputs, two hidden layers, 10 classes."""
    model = nn.Sequential(nn.Linear(256, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 10))
    return model, F.cross_entropy, [(torch.randn(batch, 256), torch.randint(10, (batch,)))]


def cnn() -> Workload:
    """Three convolutions on 64 images of 32×32."""
    model = nn.Sequential(
        *(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3, padding=1, stride=2), nn.ReLU()),
        *(nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10)),
    )
    return model, F.cross_entropy, [(torch.randn(64, 3, 32, 32), torch.randint(10, (64,)))]


def transformer() -> Workload:
    """16 sequences of 64 tokens."""
    return Transformer(), F.cross_entropy, [(torch.randint(256, (16, 64)), torch.randint(256, (16 * 64,)))]


WORKLOADS = {"MLP": mlp, "CNN": cnn, "transformer": transformer}


def train(workload: Workload, steps: int, step_size: float = 0.05) -> None:
    """Some steps of gradient descent with momentum on the batch."""
    model, loss, [(x, y)] = workload
    optimizer = torch.optim.SGD(model.parameters(), lr=step_size, momentum=0.9)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()


def regression() -> Workload:
    """A smooth function of inputs with a decaying spectrum, trained: the curvature of few directions dominates."""
    x = torch.randn(512, 64) / torch.arange(1, 65) ** 0.5
    y = torch.sin(x @ torch.randn(64, 1))
    model = nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))
    workload = (model, F.mse_loss, [(x, y)])
    train(workload, 500, 0.02)
    return workload


def classification() -> Workload:
    """Ten classes by a linear teacher on the same inputs, trained to no error."""
    x = torch.randn(512, 64) / torch.arange(1, 65) ** 0.5
    y = (x @ torch.randn(64, 10)).argmax(1)
    model = nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 10))
    workload = (model, F.cross_entropy, [(x, y)])
    train(workload, 500, 0.1)
    return workload


def random_labels() -> Workload:
    """Random labels on white noise: many directions of like curvature."""
    workload = mlp(batch=256, width=64)
    train(workload, 300, 0.2)
    return workload


TRAINED = {"regression": regression, "classification": classification, "random labels": random_labels}
