import pytest
import torch
from torch import nn

from reprise.hvp import Hessian, eigsh, trace


@pytest.mark.filterwarnings("ignore:`torch.jit.script`:FutureWarning")
def test_hessian_equals_torch_func_hessian():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    data = [(torch.randn(n, 3).double(), torch.randint(2, (n,))) for n in (5, 3)]
    H = Hessian(model, nn.functional.cross_entropy, data)
    x, y = (torch.cat(part) for part in zip(*data))
    names = [name for name, _ in model.named_parameters()]

    def f(vector):
        return nn.functional.cross_entropy(torch.func.functional_call(model, H.space.unflatten(vector), (x,)), y)

    exact = torch.func.hessian(f)(H.space.flatten(dict(model.named_parameters())).detach())
    assert names == H.space.names
    torch.testing.assert_close(H.dense(), exact, rtol=1e-9, atol=1e-12)
    values = torch.linalg.eigvalsh(exact)
    pairs = eigsh(H, k=3, tol=1e-8)
    torch.testing.assert_close(pairs.values, values[values.abs().argsort(descending=True)][:3], rtol=1e-8, atol=1e-12)
    estimate = trace(H, products=400)
    assert abs(estimate.value - exact.trace()) < 5 * estimate.stderr
