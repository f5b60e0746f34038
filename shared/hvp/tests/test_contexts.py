"""Second derivatives exist and repeat within curvature calls, and models are left as they were."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from reprise.hvp import Hessian
from reprise.hvp.contexts import _full_precision


@pytest.fixture
def data():
    torch.manual_seed(1)
    return [(torch.randn(5, 3), torch.randint(2, (5,)))]


def test_train_mode_dropout_is_refused_or_frozen(data):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.Linear(8, 2))
    with pytest.raises(ValueError, match=r"1 \(Dropout\) has dropout 0.5 in train mode"):
        Hessian(model, F.cross_entropy, data)
    before = torch.random.get_rng_state()
    v = torch.randn(50, generator=torch.Generator().manual_seed(0))
    products = [
        Hessian(model, F.cross_entropy, data, freeze_randomness=True, strategy=strategy) @ v
        for strategy in ("linearize", "retained", "forward-over-reverse", "reverse-over-reverse")
    ]
    for product in products[1:]:
        torch.testing.assert_close(product, products[0], rtol=1e-4, atol=1e-6)
    assert torch.equal(before, torch.random.get_rng_state())
    assert not torch.allclose(products[0], Hessian(model.eval(), F.cross_entropy, data, strategy="retained") @ v)


def test_noise_in_the_forward_pass_is_found_out(data):
    class Noisy(nn.Linear):
        def forward(self, x):
            return super().forward(F.dropout(x, training=True))

    with pytest.raises(ValueError, match="model is not deterministic"):
        Hessian(Noisy(3, 2), F.cross_entropy, data)


@pytest.mark.parametrize("strategy", ["linearize", "retained"])
@pytest.mark.parametrize("mode", ["eval", "batch"])
def test_batch_norm_modes_leave_the_model_alone(strategy, mode):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2)).double()
    data = [(torch.randn(6, 3).double(), torch.randint(2, (6,)))]
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    dense = Hessian(model, F.cross_entropy, data, batch_norm=mode, strategy=strategy).dense()
    assert model[1].training
    assert model[1].track_running_stats
    assert all(torch.equal(before[name], buffer) for name, buffer in model.named_buffers())
    params = {name: p.detach() for name, p in model.named_parameters()}
    model.train(mode == "batch")

    def f(vector):
        parts = vector.split([p.numel() for p in params.values()])
        tree = {name: part.view_as(params[name]) for name, part in zip(params, parts)}
        return F.cross_entropy(torch.func.functional_call(model, tree, (data[0][0],)), data[0][1])

    exact = torch.autograd.functional.hessian(f, torch.cat([p.flatten() for p in params.values()]))
    torch.testing.assert_close(dense, exact, rtol=1e-7, atol=1e-11)


@pytest.mark.parametrize("strategy", ["linearize", "retained"])
def test_attention_modules_lose_their_fast_path_only_within(strategy):
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True).eval()
    model = nn.Sequential(layer, nn.Flatten(), nn.Linear(12, 2))
    data = [(torch.randn(4, 3, 4), torch.randint(2, (4,)))]
    with torch.no_grad():
        H = Hessian(model, F.cross_entropy, data, strategy=strategy)
        v = torch.randn(H.size, generator=torch.Generator().manual_seed(0))
        product = H @ v
    assert torch.backends.mha.get_fastpath_enabled()
    other = Hessian(model, F.cross_entropy, data, strategy="reverse-over-reverse") @ v
    torch.testing.assert_close(product, other, rtol=1e-4, atol=1e-6)


def test_float32_lstms_have_products():
    torch.manual_seed(0)

    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(3, 4, batch_first=True)
            self.head = nn.Linear(4, 2)

        def forward(self, x):
            return self.head(self.lstm(x)[0][:, -1])

    model = Recurrent()
    x, y = torch.randn(4, 5, 3), torch.randint(2, (4,))
    v = torch.randn(sum(p.numel() for p in model.parameters()))
    narrow = Hessian(model, F.cross_entropy, [(x, y)], strategy="linearize") @ v
    wide = Hessian(model.double(), F.cross_entropy, [(x.double(), y)], strategy="retained") @ v.double()
    torch.testing.assert_close(narrow.double(), wide, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("strategy", ["auto", "retained", "linearize"])
def test_fused_attention_says_what_to_do(strategy):
    class Fused(nn.Module):
        def __init__(self):
            super().__init__()
            self.qkv = nn.Linear(4, 12)

        def forward(self, x):
            q, k, v = self.qkv(x).unflatten(-1, (3, 2, 2)).permute(2, 0, 3, 1, 4)
            return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(q, k, v)[0].mean((1, 2))

    data = [(torch.randn(3, 5, 4), torch.randint(2, (3,)))]
    with pytest.raises(ValueError, match=r"flash_attention.*fused attention kernel.*attn_implementation=.sdpa. or"):
        Hessian(Fused(), F.cross_entropy, data, strategy=strategy)


def test_tensor_float_32_is_off_within_and_put_back():
    settings = [torch.backends.cuda.matmul, torch.backends.cudnn.conv, torch.backends.cudnn.rnn]
    before = [setting.fp32_precision for setting in settings]
    with _full_precision():
        assert [setting.fp32_precision for setting in settings] == ["ieee"] * 3
    assert [setting.fp32_precision for setting in settings] == before


class Twisted(torch.autograd.Function):
    """A sum whose backward pass is no gradient: its derivative is not symmetric."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sum()

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * x.roll(1) * torch.arange(1.0, len(x) + 1)


class Bent(torch.autograd.Function):
    """Doubling, with a backward pass that is not linear."""

    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    def backward(ctx, grad):
        return grad.abs()


class Square(torch.autograd.Function):
    """Σ x², whose gradient is computed by `Bent`."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return (x**2).sum()

    @staticmethod
    def backward(ctx, grad):
        return grad * Bent.apply(ctx.saved_tensors[0])


@pytest.mark.parametrize(("function", "complaint"), [(Twisted, "asymmetric"), (Square, "not twice differentiable")])
def test_products_of_no_symmetric_matrix_are_found_out(function, complaint):
    with pytest.raises(ValueError, match=complaint):
        Hessian.of(function.apply, torch.ones(4), strategy="retained")


class Once(torch.autograd.Function):
    """A kernel whose backward cannot be differentiated."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return 3 * x**2 * grad


@pytest.mark.parametrize("strategy", ["auto", "retained", "linearize"])
def test_kernel_without_second_derivative_says_what_to_do(strategy):
    x = torch.tensor([1.0, 2.0], dtype=torch.float64)
    with pytest.raises(ValueError, match=r"a custom autograd function.*cannot differentiate twice.*finite-difference"):
        Hessian.of(lambda x: Once.apply(x).sum(), x, strategy=strategy)
    H = Hessian.of(lambda x: Once.apply(x).sum(), x, strategy="finite-difference")
    torch.testing.assert_close(H.dense(), torch.diag(6 * x), rtol=1e-6, atol=1e-6)


def test_data_dependent_control_flow_falls_back_to_kept_graphs():
    x = torch.tensor([1.0, 2.0])
    H = Hessian.of(lambda x: (x**3).sum() if float(x.detach().sum()) > 0 else x.sum(), x)
    assert H.strategy == "retained"
    torch.testing.assert_close(H.dense(), torch.diag(6 * x))
