"""Projections against their definitions, radii and penalties."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from reprise.robust_fine_tuning import (
    DistancePenalty,
    LayerConstraints,
    choose_radii,
    constraints,
    growing_radii,
    largest_traces,
    layer_distances,
    layer_radii,
)
from reprise.robust_fine_tuning.constraints import EPSILON


def layered(seed=0):
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Conv2d(2, 3, 2), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 4), nn.ReLU(), nn.Linear(4, 3)
    )
    state = {name: value.clone() for name, value in model.state_dict().items()}
    return model, state


def shake(model, size):
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(size * torch.randn_like(parameter))


@settings(max_examples=25, deadline=None)
@given(st.floats(0.01, 10.0), st.floats(0.001, 3.0))
def test_frobenius_projection_is_the_nearest_point_of_the_ball(radius, size):
    model, state = layered()
    shake(model, size)
    moved = model[3].weight.detach() - state["3.weight"]
    balls = LayerConstraints(model, state, {"3.weight": radius})
    balls.project_()
    expected = state["3.weight"] + moved * min(1.0, radius / float(moved.norm()))
    torch.testing.assert_close(model[3].weight.detach(), expected, rtol=1e-5, atol=1e-6)
    assert balls.distances()["3.weight"] <= radius + 1e-5


@pytest.mark.parametrize("block", [5, 20, 10**6])  # all layers by themselves, all but the last, none
def test_large_layers_are_projected_as_small_ones(block, monkeypatch):
    monkeypatch.setattr(constraints, "BLOCK", block)
    model, state = layered()
    shake(model, 1.0)
    names = {"0.weight": 0.5, "3.weight": 0.7, "5.weight": 100.0}
    moved = {name: dict(model.named_parameters())[name].detach() - state[name] for name in names}
    LayerConstraints(model, state, names).project_()
    for name, radius in names.items():
        expected = state[name] + moved[name] * min(1.0, radius / float(moved[name].norm()))
        torch.testing.assert_close(dict(model.named_parameters())[name].detach(), expected, rtol=1e-5, atol=1e-6)


def test_a_second_projection_changes_nothing_and_inner_points_stay_bit_for_bit():
    model, state = layered()
    shake(model, 1.0)
    balls = LayerConstraints(model, state, {"0.weight": 0.5, "3.weight": 100.0})
    inside, free = model[3].weight.detach().clone(), model[5].weight.detach().clone()
    balls.project_()
    once = model[0].weight.detach().clone()
    balls.project_()
    torch.testing.assert_close(model[0].weight.detach(), once, rtol=1e-6, atol=1e-7)
    assert torch.equal(model[3].weight, inside) and torch.equal(model[5].weight, free)


def test_infinity_balls_scale_each_row_and_each_output_channel():
    model, state = layered()
    shake(model, 1.0)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    LayerConstraints(model, state, {"0.weight": 0.8, "3.weight": 1.5}, norm="infinity").project_()
    for name, radius in (("0.weight", 0.8), ("3.weight", 1.5)):
        moved = (before[name] - state[name]).flatten(1).numpy()
        expected = moved * np.minimum(1.0, radius / np.abs(moved).sum(1, keepdims=True))
        found = (dict(model.named_parameters())[name].detach() - state[name]).flatten(1).numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_the_batch_normalisation_ball_clamps_scale_over_deviation():
    model, state = layered()
    shake(model, 2.0)
    with torch.no_grad():
        model[1].running_var.mul_(3.0)
    LayerConstraints(model, state, {"3.weight": 1e9}, batch_norm=0.1).project_()
    now = model[1].weight.detach() / (model[1].running_var + EPSILON).sqrt()
    start = state["1.weight"] / (state["1.running_var"] + EPSILON).sqrt()
    assert float((now - start).abs().max()) == pytest.approx(0.1, rel=1e-4)


def test_the_optimizer_keeps_its_state_because_weights_are_changed_in_place():
    model, state = layered()
    address = model[3].weight.data_ptr()
    optimizer = torch.optim.Adam(model.parameters(), lr=1.0)
    model(torch.randn(2, 2, 3, 3)).sum().backward()
    optimizer.step()
    moment = optimizer.state[model[3].weight]["exp_avg"].clone()
    LayerConstraints(model, state, {"3.weight": 0.1}).project_()
    assert model[3].weight.data_ptr() == address
    assert torch.equal(optimizer.state[model[3].weight]["exp_avg"], moment)


def test_the_heads_ball_is_around_zero():
    model, state = layered()
    shake(model, 5.0)
    direction = model[5].weight.detach() / model[5].weight.detach().norm()
    LayerConstraints(model, state, {"5.weight": 2.0}, head="5").project_()
    torch.testing.assert_close(model[5].weight.detach(), 2.0 * direction)


def test_radii_grow_with_depth_by_layer_or_by_block():
    model, state = layered()
    assert growing_radii(model, 0.5, 2.0) == {"0.weight": 0.5, "3.weight": 1.0, "5.weight": 2.0}
    assert growing_radii(model, 0.5, 2.0, head="5", head_radius=7.0) == {
        "0.weight": 0.5,
        "3.weight": 1.0,
        "5.weight": 7.0,
    }
    assert growing_radii(model, 0.5, 3.0, groups=[("3",), ("5",)]) == {"3.weight": 0.5, "5.weight": 1.5}
    ratio = growing_radii(model, 0.1, relative_to=state, layers=["3.weight"])
    assert ratio["3.weight"] == pytest.approx(0.1 * float(state["3.weight"].norm()))


def test_constraints_with_growing_radii_project_every_layer_into_its_ball():
    model, state = layered()
    constraints = layer_radii(model, state, 0.1, 1.5, head="5", head_radius=0.7)
    shake(model, 2.0)
    constraints.project_()
    assert constraints.distances() == pytest.approx({"0.weight": 0.1, "3.weight": 0.15, "5.weight": 0.7}, rel=1e-5)
    assert float(model[5].weight.detach().norm()) == pytest.approx(0.7, rel=1e-5)  # around zero


def test_shares_of_the_pretrained_norm_rows_and_batch_normalisation_are_options_of_the_constraints():
    model, state = layered()
    shares = layer_radii(model, state, 0.1, ratio=True, layers=["3.weight"])
    assert shares.radii["3.weight"] == pytest.approx(0.1 * float(state["3.weight"].norm()))
    rows = layer_radii(model, state, 0.3, norm="infinity", batch_norm=0.05)
    shake(model, 2.0)
    rows.project_()
    assert max(rows.distances().values()) == pytest.approx(0.3, rel=1e-5)
    g = model[1].weight.detach() / (model[1].running_var + EPSILON).sqrt()
    start = state["1.weight"] / (state["1.running_var"] + EPSILON).sqrt()
    assert float((g - start).abs().max()) == pytest.approx(0.05, rel=1e-4)


def test_a_head_without_a_radius_moves_freely_and_needs_no_reference():
    model, state = layered()
    constraints = layer_radii(model, {n: v for n, v in state.items() if not n.startswith("5")}, 0.1, head="5")
    assert set(constraints.radii) == {"0.weight", "3.weight"}


def test_the_penalty_and_its_gradient_are_those_of_the_squared_distance():
    model, state = layered()
    shake(model, 0.3)
    value = DistancePenalty(model, state, 0.7)()
    distances = layer_distances(model, state)
    assert float(value.detach()) == pytest.approx(0.7 * sum(d**2 for d in distances.values()), rel=1e-5)
    value.backward()
    torch.testing.assert_close(model[3].weight.grad, 1.4 * (model[3].weight.detach() - state["3.weight"]))


@pytest.mark.parametrize(
    ("radii", "options", "match"),
    [
        ({"3.weight": 0.0}, {}, "above 0"),
        ({"3.weight": -1.0}, {}, "above 0"),
        ({"3.weight": math.nan}, {}, "finite"),
        ({"nope": 1.0}, {}, "no parameter 'nope'"),
        ({}, {}, "radii must name at least one layer, got none"),
        ({"3.weight": 1.0}, {"norm": "nuclear"}, "norm must be one of"),
        ({"3.weight": 1.0}, {"batch_norm": 0.0}, "batch_norm must be finite, above 0"),
    ],
)
def test_bad_radii_are_named(radii, options, match):
    model, state = layered()
    with pytest.raises(ValueError, match=match):
        LayerConstraints(model, state, radii, **options)


def test_a_reference_that_lacks_a_layer_is_refused():
    model, state = layered()
    del state["3.weight"]
    with pytest.raises(ValueError, match=r"reference lacks layer '3.weight'"):
        LayerConstraints(model, state, {"3.weight": 1.0})


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"D": 0.0}, ValueError, "D must be finite, above 0"),
        ({"D": -1}, ValueError, "D must be finite, above 0"),
        ({"D": math.nan}, ValueError, "D must be finite"),
        ({"D": "wide"}, TypeError, "D must be a number"),
        ({"gamma": 0.5}, ValueError, "gamma must be finite, at least 1"),
        ({"gamma": True}, TypeError, "gamma must be a number"),
        ({"head": "5", "head_radius": 0.0}, ValueError, "head_radius must be finite, above 0"),
        ({"head_radius": 1.0}, ValueError, "head_radius needs head"),
        ({"head": "nope"}, ValueError, "head: no layer is named 'nope'"),
        ({"groups": [("nope",)]}, ValueError, "groups: no layer belongs to"),
        ({"layers": []}, ValueError, "layers must name at least one"),
        ({"reference": {}}, ValueError, "reference lacks layer '0.weight'"),
        ({"reference": 3}, TypeError, "reference must be a Module or a mapping"),
        ({"model": None}, TypeError, r"model must be a torch.nn.Module"),
    ],
)
def test_bad_arguments_of_growing_radii_are_named(change, error, match):
    model, state = layered()
    with pytest.raises(error, match=match):
        layer_radii(**({"model": model, "reference": state, "D": 1.0} | change))


def test_largest_traces_equal_those_of_the_dense_gauss_newton_matrix():
    torch.manual_seed(0)
    model = nn.Linear(3, 2, bias=False).double()
    x, y = torch.randn(5, 3).double(), torch.zeros(5, dtype=torch.long)
    p = model(x).softmax(1).detach()
    expected = ((p - p.square()).sum(1) * x.square().sum(1)).max()  # tr(S ⊗ xxᵀ)
    # 300 random vectors leave a relative error of about √(2/300) = 8 %
    found = largest_traces(model, (x, y), probes=300)["weight"]
    assert found == pytest.approx(float(expected), rel=0.25)


def test_chosen_radii_minimise_the_bound_for_what_each_layer_needs():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    before = {name: p.clone() for name, p in model.state_dict().items()}
    found = choose_radii(model, (torch.randn(60, 4), torch.arange(60) % 3), 0.8, seed=1)
    assert all(torch.equal(before[name], p) for name, p in model.state_dict().items())
    radii, d, t = (list(part.values()) for part in (found.radii, found.distances, found.traces))
    assert sum(r**2 for r in radii) == pytest.approx(0.64)
    shares = [r * math.sqrt(trace) / distance for r, trace, distance in zip(radii, t, d)]
    assert shares == pytest.approx([shares[0]] * len(shares))
    # any other radii with the same weighted mean of logarithms have a larger bound
    for shift in (-0.2, 0.1, 0.3):
        other = [radii[0] * math.exp(shift / d[0]), radii[1] * math.exp(-shift / d[1])]
        assert sum(r * math.sqrt(trace) for r, trace in zip(other, t)) > found.bound


def test_a_budget_that_is_not_positive_is_refused():
    with pytest.raises(ValueError, match="budget must be finite, above 0"):
        choose_radii(nn.Linear(2, 2), (torch.zeros(2, 2), torch.tensor([0, 1])), 0.0)
