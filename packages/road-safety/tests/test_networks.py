"""Layers against their formulas, training, metrics and baselines."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from reprise.road_safety import (
    BASELINES,
    GAT,
    GCN,
    GIN,
    SAGE,
    LeakageError,
    MixtureOfExperts,
    RoadGNN,
    evaluate,
    run_baseline,
    train,
)
from reprise.road_safety.metrics import official_negatives
from reprise.road_safety.training import Inputs, messages

YEARS = {"train_years": (2019,), "valid_years": (2020,), "test_years": (2021,)}


def small():
    torch.manual_seed(0)
    edge_index = torch.tensor([[0, 1, 2, 3, 0], [1, 2, 0, 0, 2]])
    return torch.randn(4, 3), edge_index, torch.randn(5, 2)


def sent(conv, h, edge_index, z):
    return conv.node(h)[edge_index[0]] + conv.edge(z)


def test_gcn_is_its_formula():
    h, edge_index, z = small()
    layer = GCN(3, 2, 6)
    into = torch.bincount(edge_index[1], minlength=4).clamp(min=1).float()
    expected = torch.zeros(4, 6)
    for message, (u, v) in zip(sent(layer.conv, h, edge_index, z), edge_index.T):
        expected[v] += message / (into[u] * into[v]).sqrt()
    assert torch.allclose(layer(h, edge_index, z), expected, atol=1e-6)


def test_sage_and_gin_are_their_formulas():
    h, edge_index, z = small()
    sage, gin = SAGE(3, 2, 6), GIN(3, 2, 6)
    for layer in (sage, gin):
        total = torch.zeros(4, 6)
        total.index_add_(0, edge_index[1], sent(layer.conv, h, edge_index, z))
        into = torch.bincount(edge_index[1], minlength=4).clamp(min=1)[:, None]
        expected = torch.nn.functional.normalize(total / into) if layer is sage else gin.mlp(total)
        assert torch.allclose(layer(h, edge_index, z), expected, atol=1e-6)


def test_attention_sums_to_one_over_what_arrives():
    h, edge_index, _ = small()
    layer = GAT(3, 2, 6)
    # Equal messages: whatever the attention, their mean is the message itself.
    same = h[:1].expand(4, -1)
    out = layer(same, edge_index, torch.zeros(5, 2))
    expected = layer.node(same).view(4, 2, 6).mean(dim=1)
    reached = torch.bincount(edge_index[1], minlength=4) > 0
    assert torch.allclose(out[reached], expected[reached], atol=1e-6)


@pytest.mark.parametrize("conv", ["gcn", "sage", "gin", "gat", "none"])
@pytest.mark.parametrize("jk", ["last", "sum", "max", "concat"])
def test_scores_follow_a_renumbering_of_the_nodes(conv, jk):
    x, edge_index, z = small()
    torch.manual_seed(1)
    model = RoadGNN(3, 2, 8, 2, conv, jk).eval()
    order = torch.tensor([2, 0, 3, 1])
    moved = torch.empty(4, dtype=torch.long)
    moved[order] = torch.arange(4)
    rows = torch.arange(5)
    first = model(x, z, edge_index, edge_index, rows)
    second = model(x[order], z, moved[edge_index], moved[edge_index], rows)
    assert torch.allclose(first, second, atol=1e-5)


@pytest.mark.parametrize("fusion", ["basic", "gated", "moe"])
def test_fusion_reads_images_and_flags_missing_ones(fusion):
    x, edge_index, z = small()
    model = RoadGNN(3, 2, 8, fusion=fusion, image_dim=5).eval()
    rows = torch.arange(5)
    images = torch.randn(4, 5)
    with_images = model(x, z, edge_index, edge_index, rows, images)
    assert not torch.allclose(with_images, model(x, z, edge_index, edge_index, rows, torch.zeros(4, 5)))
    with pytest.raises(ValueError, match="images"):
        model(x, z, edge_index, edge_index, rows)


def test_the_published_gate_scores_no_expert_below_zero():
    torch.manual_seed(0)
    module = MixtureOfExperts(4, 3, relu_gate=True).eval()
    g, i = torch.randn(6, 4), torch.randn(6, 3)
    weight = torch.softmax(torch.relu(module.gate(torch.cat([g, i], dim=1))), dim=1)
    assert (weight >= weight.max(dim=1, keepdim=True).values * 0 + 1 / (3 + np.e**10)).all()
    assert module(g, i).shape == (6, 256)


def test_messages_go_both_ways_along_two_way_segments(town):
    edge_index, z_row = messages(town)
    assert edge_index.shape[1] == 24 + int((~town.flags[:, 0]).sum())
    assert (edge_index[:, 24:].flip(0) == torch.as_tensor(town.edge_index)[:, z_row[24:]]).all()


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_training_learns_and_is_the_same_under_a_seed(town, task):
    def made(node, edge):
        return RoadGNN(node, edge, hidden=8)

    runs = [train(town, made, task, **YEARS, epochs=12, lr=1e-2, seed=seed, evaluate_every=4) for seed in (1, 1, 2)]
    first, again, other = (run.metrics["test"]["mae_all"] for run in runs)
    assert first == again != other
    assert runs[0].history[-1]["loss"] < runs[0].history[0]["loss"]
    assert runs[0].best_epoch in (4, 8, 12)


def test_training_leaves_the_global_generator_alone(town):
    torch.manual_seed(5)
    state = torch.get_rng_state()
    train(town, lambda node, edge: RoadGNN(node, edge, hidden=4), **YEARS, epochs=1)
    assert torch.equal(state, torch.get_rng_state())


def test_a_label_of_the_test_years_changes_no_input_of_earlier_months(town):
    from dataclasses import replace

    from scipy import sparse

    counts = town.counts.toarray()
    counts[30] += 3
    changed = replace(town, counts=sparse.csr_array(counts))
    for row in (0, 12, 30):
        for a, b in zip(Inputs(town, (2019,), True).month(row), Inputs(changed, (2019,), True).month(row)):
            assert torch.equal(a, b)
    assert not torch.equal(Inputs(town, (2019,), True).month(31)[1], Inputs(changed, (2019,), True).month(31)[1])


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"valid_years": (2019,)}, LeakageError, "train_years must lie before valid_years"),
        ({"test_years": (2020,)}, LeakageError, "valid_years must lie before test_years"),
        ({"test_years": ()}, ValueError, "test_years must not be empty"),
        ({"task": "ranking"}, ValueError, "task must be one of"),
        ({"negatives": "some"}, ValueError, "negatives must be one of"),
        ({"epochs": 0}, ValueError, "epochs"),
        ({"lr": 0.0}, ValueError, "lr"),
        ({"seed": -1}, ValueError, "seed"),
    ],
)
def test_bad_input_is_named(town, change, error, said):
    with pytest.raises(error, match=said):
        train(town, lambda node, edge: RoadGNN(node, edge, hidden=4), **YEARS | change)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"conv": "cnn"}, "conv"),
        ({"jk": "mean"}, "jk"),
        ({"fusion": "gated"}, "belong together"),
        ({"hidden": 0}, "hidden"),
    ],
)
def test_bad_networks_are_named(change, said):
    with pytest.raises(ValueError, match=said):
        RoadGNN(3, 2, **change)


def test_metrics_agree_with_scikit_learn_and_hand():
    rng = np.random.default_rng(0)
    counts = rng.poisson(0.2, 300)
    scores = rng.random(300)
    found = evaluate(scores, counts, k=20)
    assert found["auroc"] == pytest.approx(roc_auc_score(counts > 0, scores))
    assert found["mae_pos"] == pytest.approx(np.abs(scores - counts)[counts > 0].mean())
    assert found["precision_at_k"] == pytest.approx((counts > 0)[np.argsort(-scores)[:20]].mean())
    mu = np.maximum(scores, 1e-6)
    deviance = 2 * np.where(counts > 0, counts * np.log(np.maximum(counts, 1) / mu), 0) - 2 * (counts - mu)
    assert found["poisson_deviance"] == pytest.approx(deviance.mean())
    assert np.isnan(evaluate([0.1, 0.2], [0, 0])["auroc"])
    with pytest.raises(ValueError, match="counts"):
        evaluate([0.1], [-1])


def test_official_negatives_drop_edges_between_touched_nodes():
    edge_index = np.array([[0, 1, 0, 2], [1, 2, 2, 3]])
    kept = official_negatives(edge_index, np.array([True, True, False, False]))
    assert kept.tolist() == [False, False, False, True]  # (0, 2) had no accident, yet both of its ends did


@pytest.mark.parametrize("name", list(BASELINES))
def test_every_baseline_ranks_better_than_chance_in_a_town_with_bad_streets(town, name):
    from dataclasses import replace

    from scipy import sparse

    # Row streets at the bottom are dangerous.
    rng = np.random.default_rng(0)
    rate = np.where(np.arange(24) < 6, 1.0, 0.05) * np.linspace(1, 2, 24)
    length = rate * 100
    counts = sparse.csr_array(rng.poisson(rate, (36, 24)))
    found = run_baseline(replace(town, counts=counts, length=length), name, (2019,), (2020,), (2021,))
    assert found.metrics["test"]["auroc"] > 0.6


def test_baselines_check_their_years_and_names(town):
    with pytest.raises(LeakageError):
        run_baseline(town, "length", (2020,), (2019,), (2021,))
    with pytest.raises(ValueError, match="name must be one of"):
        run_baseline(town, "crystal ball", (2019,), (2020,), (2021,))
