"""Small problems of every architecture, in float64, shared by the tests."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

with warnings.catch_warnings():
    # torch deprecates its own torch.jit, which it and torch_geometric still call while they load
    warnings.simplefilter("ignore")
    import torch_geometric.nn
    import transformers
    from torch_geometric.data import Data

    torch.func.hessian(lambda x: (x**2).sum())(torch.ones(1))

# small products wait longer for threads than they compute
torch.set_num_threads(1)


@dataclass
class Problem:
    model: nn.Module
    loss: Callable[[Any, Any], Tensor] | None
    data: list[Any]
    name: str = ""

    def mean_loss(self, tensors: dict[str, Tensor]) -> Tensor:
        """Mean over all examples, written out anew."""
        total, count = 0.0, 0
        for batch in self.data:
            if self.loss is None:
                size = len(next(iter(batch.values())))
                value = torch.func.functional_call(self.model, tensors, (), batch).loss
            elif isinstance(batch, Data):
                size = len(batch.y)
                value = self.loss(torch.func.functional_call(self.model, tensors, (batch,)), batch.y)
            else:
                size = len(batch[1])
                value = self.loss(torch.func.functional_call(self.model, tensors, (batch[0],)), batch[1])
            total, count = total + size * value, count + size
        return total / count

    def dense(self, names: list[str] | None = None) -> Tensor:
        """The Hessian by reverse mode twice, row by row."""
        params = {n: p.detach() for n, p in self.model.named_parameters() if p.requires_grad}
        chosen = {n: p for n, p in params.items() if names is None or n in names}
        sizes = [p.numel() for p in chosen.values()]

        def f(vector: Tensor) -> Tensor:
            parts = dict(zip(chosen, vector.split(sizes)))
            return self.mean_loss(params | {n: part.view_as(chosen[n]) for n, part in parts.items()})

        start = torch.cat([p.flatten() for p in chosen.values()])
        with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
            return torch.autograd.functional.hessian(f, start)


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 5)
        self.second = nn.Linear(5, 5)
        self.head = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        return self.head(x + F.silu(self.second(x)))


class Transformer(nn.Module):
    """Embedding, LayerNorm, causal attention, GELU; the readout is tied to the embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(7, 4)
        self.norm = nn.LayerNorm(4)
        self.qkv = nn.Linear(4, 12)
        self.mix = nn.Linear(4, 4)
        self.readout = nn.Linear(4, 7, bias=False)
        self.readout.weight = self.embedding.weight

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens)
        q, k, v = self.qkv(self.norm(x)).unflatten(-1, (3, 2, 2)).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.mix(F.gelu(attended.transpose(1, 2).flatten(2)))
        return self.readout(x).mean(1)


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(3, 3, batch_first=True)
        self.head = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(x)[0][:, -1])


class Unused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.used = nn.Linear(3, 2)
        self.unused = nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.used(x))


class Scatter(nn.Module):
    """A graph network by hand: messages gathered along edges and summed by index_add."""

    def __init__(self) -> None:
        super().__init__()
        self.message = nn.Linear(3, 3)
        self.head = nn.Linear(3, 2)
        self.register_buffer("edges", torch.tensor([[0, 1, 2, 3, 0], [1, 2, 3, 0, 2]]))

    def forward(self, x: Tensor) -> Tensor:
        source, target = self.edges
        summed = torch.zeros_like(x).index_add(0, target, torch.tanh(self.message(x))[source])
        return self.head(torch.tanh(summed + x))


class Graphs(nn.Module):
    """Two torch_geometric convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch_geometric.nn.GCNConv(3, 4)
        self.second = torch_geometric.nn.GCNConv(4, 2)

    def forward(self, data: Data) -> Tensor:
        return self.second(torch.tanh(self.first(data.x, data.edge_index)), data.edge_index)


def classification(*shapes: tuple[int, ...], classes: int = 3) -> list[tuple[Tensor, Tensor]]:
    return [(torch.randn(shape).double(), torch.randint(classes, shape[:1])) for shape in shapes]


def mlp(activation: type[nn.Module]) -> Problem:
    model = nn.Sequential(nn.Linear(4, 6), activation(), nn.Linear(6, 5), activation(), nn.Linear(5, 3))
    return Problem(model, F.cross_entropy, classification((6, 4), (6, 4), (3, 4)))


def convolutional() -> Problem:
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 3)
    )
    model[1].running_mean.uniform_(-0.5, 0.5)
    model[1].running_var.uniform_(0.5, 2.0)
    return Problem(model, F.cross_entropy, classification((5, 1, 6, 6), (4, 1, 6, 6)))


def regression() -> Problem:
    model = nn.Sequential(nn.Linear(4, 6), nn.Softplus(), nn.Linear(6, 2))
    return Problem(model, nn.MSELoss(), [(torch.randn(n, 4).double(), torch.randn(n, 2).double()) for n in (5, 3)])


def language_model(attention: str) -> Problem:
    config = transformers.GPT2Config(
        vocab_size=7, n_positions=4, n_embd=4, n_layer=1, n_head=2, n_inner=6, attn_implementation=attention
    )
    tokens = [torch.randint(7, (n, 4)) for n in (3, 2)]
    data = [{"input_ids": t, "labels": t} for t in tokens]
    return Problem(transformers.GPT2LMHeadModel(config), None, data)


def graphs() -> Problem:
    data = []
    for nodes in (5, 4):
        edges = torch.randint(nodes, (2, 8))
        data.append(Data(x=torch.randn(nodes, 3).double(), edge_index=edges, y=torch.randint(2, (nodes,))))
    return Problem(Graphs(), F.cross_entropy, data)


PROBLEMS: dict[str, Callable[[], Problem]] = {
    "mlp-tanh": lambda: mlp(nn.Tanh),
    "mlp-relu": lambda: mlp(nn.ReLU),
    "mlp-gelu": lambda: mlp(nn.GELU),
    "regression": regression,
    "cnn-batchnorm": convolutional,
    "residual": lambda: Problem(Residual(), F.cross_entropy, classification((5, 4), (2, 4))),
    "transformer-tied": lambda: Problem(
        Transformer(), F.cross_entropy, [(torch.randint(7, (n, 4)), torch.randint(7, (n,))) for n in (3, 2)]
    ),
    "scatter": lambda: Problem(Scatter(), F.cross_entropy, classification((4, 3), (4, 3), classes=2)),
    "lstm": lambda: Problem(Recurrent(), F.cross_entropy, classification((4, 3, 3), (2, 3, 3), classes=2)),
    "unused": lambda: Problem(Unused(), F.cross_entropy, classification((5, 3), (2, 3), classes=2)),
    "torch-geometric": graphs,
    "hugging-face-sdpa": lambda: language_model("sdpa"),
    "hugging-face-eager": lambda: language_model("eager"),
}


def build(name: str) -> Problem:
    torch.manual_seed(sum(map(ord, name)))
    problem = PROBLEMS[name]()
    problem.name = name
    problem.model.double().eval()
    return problem


def with_spectrum(values: Any, seed: int = 0) -> Tensor:
    """A dense symmetric matrix with these eigenvalues and random eigenvectors."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.as_tensor(values, dtype=torch.float64)
    Q = torch.linalg.qr(torch.randn(len(values), len(values), dtype=torch.float64, generator=generator)).Q
    A = Q @ torch.diag(values) @ Q.T
    return (A + A.T) / 2


@pytest.fixture(scope="session")
def symmetric() -> Callable[..., Tensor]:
    return with_spectrum


@pytest.fixture(scope="session")
def decaying() -> Callable[..., Tensor]:
    return lambda size, power=2.0: torch.arange(1, size + 1, dtype=torch.float64) ** -power


@pytest.fixture(scope="session")
def indefinite() -> Tensor:
    return with_spectrum(torch.linspace(-1, 2, 20))


@pytest.fixture(params=list(PROBLEMS))
def problem(request: pytest.FixtureRequest) -> Problem:
    return build(request.param)


@functools.cache
def brute_force(name: str) -> Tensor:
    return build(name).dense()


@pytest.fixture
def exact(problem: Problem) -> Tensor:
    """The Hessian of the problem as it was built, computed once for all tests."""
    return brute_force(problem.name)


@pytest.fixture
def make_problem() -> Callable[[str], Problem]:
    return build
