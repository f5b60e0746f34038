import pytest
import torch
from torch import nn

from reprise.tasks import (
    RandomProjection,
    adapted_parameters,
    multiclass_margin,
    output_gradients,
    parameter_count,
    sample_gradients,
)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.LayerNorm(8), nn.Linear(8, 3)).double()


@pytest.fixture
def samples():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(11, 5, generator=generator, dtype=torch.float64), torch.arange(11) % 3


def margin(model, x, y):
    return multiclass_margin(model(x), y)


def by_backward(model, samples, names):
    rows = []
    for x, y in zip(*samples):
        gradients = torch.autograd.grad(margin(model, x, y), [dict(model.named_parameters())[name] for name in names])
        rows.append(torch.cat([gradient.flatten() for gradient in gradients]))
    return torch.stack(rows)


@pytest.mark.parametrize("names", [None, ["3.weight"], ["3.bias", "0.weight"]])
@pytest.mark.parametrize("chunk_size", [1, 4, 100])
def test_both_ways_equal_one_backward_pass_per_prediction(model, samples, names, chunk_size):
    expected = by_backward(model, samples, names or [name for name, _ in model.named_parameters()])
    stacked = sample_gradients(model, margin, samples, parameters=names, chunk_size=chunk_size)
    outputs = output_gradients(
        model, lambda model: multiclass_margin(model(samples[0]), samples[1]), parameters=names, chunk_size=chunk_size
    )
    for found in (stacked, outputs):
        torch.testing.assert_close(found.features, expected)
        torch.testing.assert_close(found.values, margin(model, *samples).detach())
        assert not found.features.requires_grad


def test_parameters_and_gradients_of_the_model_are_left_alone(model, samples):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    sample_gradients(model, margin, samples)
    output_gradients(model, lambda model: model(samples[0])[:, 0])
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(value.grad is None and value.requires_grad for value in model.parameters())


def test_frozen_parameters_are_left_out_by_default(model, samples):
    model[0].requires_grad_(False)
    assert parameter_count(model) == 16 + 27
    assert sample_gradients(model, margin, samples).features.shape == (11, 43)


def test_projection_in_pieces_equals_projection_of_the_whole(model, samples):
    projection = RandomProjection(parameter_count(model), 6, seed=2)
    whole = sample_gradients(model, margin, samples).features
    pieces = sample_gradients(model, margin, samples, projection=projection, chunk_size=3).features
    torch.testing.assert_close(pieces, projection.project(whole))


def test_methods_of_the_model_can_be_differentiated(samples):
    class Policy(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Linear(5, 3, dtype=torch.float64)

        def log_prob(self, x, y):
            return self.net(x).log_softmax(-1)[y]

    found = sample_gradients(Policy(), lambda policy, x, y: policy.log_prob(x, y[None]).squeeze(), samples)
    assert found.features.shape == (11, 18)


def test_a_cap_on_outputs_draws_rows_uniformly_without_replacement(model, samples):
    def margins(model):
        return multiclass_margin(model(samples[0]), samples[1])

    everything = output_gradients(model, margins)
    capped = output_gradients(model, margins, limit=4, seed=3)
    assert len(set(capped.rows.tolist())) == 4
    torch.testing.assert_close(capped.features, everything.features[capped.rows])
    torch.testing.assert_close(capped.values, everything.values[capped.rows])
    chosen = torch.cat([output_gradients(model, margins, limit=4, seed=seed).rows for seed in range(300)])
    # each of 11 rows is drawn 300 · 4/11 = 109 times, standard deviation 8.3
    assert (torch.bincount(chosen, minlength=11) - 1200 / 11).abs().max() < 5 * 8.3


def test_adapted_parameters_move_predictions_as_their_gradients_say(model, samples):
    projection = RandomProjection(parameter_count(model, ["3.weight", "0.bias"]), 6, seed=2)
    found = sample_gradients(model, margin, samples, parameters=["3.weight", "0.bias"], projection=projection)
    direction = torch.randn(6, generator=torch.Generator().manual_seed(3), dtype=torch.float64)

    def error(step):
        moved = adapted_parameters(model, step * direction, projection=projection, parameters=["3.weight", "0.bias"])
        reached = torch.func.functional_call(model, moved, (samples[0],))
        linear = found.values + found.features @ (step * direction)
        return (multiclass_margin(reached, samples[1]) - linear).norm().item()

    # the remainder of a first-order expansion is quadratic: ten times closer, a hundred times smaller
    assert error(1e-3) / error(1e-4) == pytest.approx(100, rel=0.05)


def test_bad_arguments_are_refused_by_name(model, samples):
    with pytest.raises(ValueError, match=r"parameters must be different names .* got \['4.weight'\]"):
        sample_gradients(model, margin, samples, parameters=["4.weight"])
    with pytest.raises(ValueError, match="projection must have as many rows as the parameters have entries, 91, got 9"):
        sample_gradients(model, margin, samples, projection=RandomProjection(9, 2))
    with pytest.raises(ValueError, match="samples must be tensors with one leading dimension"):
        sample_gradients(model, margin, (samples[0], samples[1][:3]))
    with pytest.raises(ValueError, match=r"margin must return a scalar for one sample, got shape \(3,\)"):
        sample_gradients(model, lambda model, x, y: model(x), samples)
    with pytest.raises(ValueError, match=r"predictions of shape \(K >= 1,\), got \(11, 3\)"):
        output_gradients(model, lambda model: model(samples[0]))
    with pytest.raises(ValueError, match="margin must be finite, got nan"):
        sample_gradients(model, lambda model, x, y: model(x)[0] * torch.nan, samples)
    with pytest.raises(ValueError, match=r"coefficients must have shape \(6,\), got \(5,\)"):
        adapted_parameters(model, torch.zeros(5), projection=RandomProjection(parameter_count(model), 6))
