"""What the authors' program does wrong: one test each that ours does not, in their known order."""

import numpy as np
import pytest
import torch

from reprise.algorithmic_reasoning import (
    ALGORITHMS,
    BranchingStructure,
    Reasoner,
    estimate_affinity,
    fit,
    gradient_features,
    layer_parameters,
    loss,
    margins,
    sample,
    search,
)
from reprise.tasks import RandomProjection, TaskFeatures, fit_logistic, given_subsets

TASKS = ["bfs", "bellman_ford", "mst_kruskal", "mst_prim"]
SMALL = {"hidden": 6, "layers": 3, "projection": 4}


def paths(name, seed=0):
    return sample(name, nodes=5, samples=1, seed=seed, p=0.6)


@pytest.fixture(scope="module")
def searched():
    """A whole search over three layers, with all that it asked for."""
    calls = {"train": [], "data": [], "validation": []}

    def make(tasks):
        torch.manual_seed(0)
        return Reasoner(tasks, "mpnn", **SMALL)

    def train(model, layer):
        before = {name: value.clone() for name, value in model.state_dict().items()}
        calls["train"].append((frozenset(model.routes), layer, before))
        own = [name for name, _ in model.named_parameters() if name.startswith(f"processor.layers.{layer}.")]
        fit(model, steps=1, nodes=5, batch_size=1, validate_every=0, parameters=own, lr=1e-2)

    def given(kind, seed):
        def data(name):
            calls[kind].append(name)
            return paths(name, seed)

        return data

    found = search(
        TASKS,
        make,
        train,
        given("data", 1),
        validation=given("validation", 2),
        gains=True,
        features={"dim": 10, "rows": 6, "hints": False},
        affinity={"subsets": 6, "size": 2, "ridge": 1.0},
    )
    return found, calls


def test_1_the_search_goes_on_after_its_first_split(searched):
    found, _ = searched
    assert len(found.structure.layers) == 3
    assert max(split.layer for split in found.splits) >= 1
    assert any(split.partition.k > 1 for split in found.splits)


def test_2_each_group_begins_from_its_own_parent(searched):
    found, calls = searched
    for tasks, layer, before in calls["train"]:
        if layer > 0:
            parent = next(s for s in found.splits if s.layer == layer - 1 and tasks <= set(s.tasks))
            assert all(torch.equal(before[name], parent.state[name]) for name in before if name in parent.state)


def test_3_tasks_whose_names_begin_alike_are_kept_apart(searched):
    found, _ = searched
    assert {"mst_kruskal", "mst_prim"} <= found.structure.tasks
    features = {name: gradient_features(Reasoner([name], "mpnn", **SMALL), paths(name), dim=5) for name in TASKS[2:]}
    assert not torch.equal(features["mst_kruskal"].offsets, features["mst_prim"].offsets)
    assert len({name[:3] for name in ALGORITHMS}) < len(ALGORITHMS)


def test_4_affinities_are_scored_on_what_is_given_for_validation(searched):
    _, calls = searched
    assert set(calls["validation"]) == set(TASKS)
    torch.manual_seed(0)
    fitted = {name: TaskFeatures(torch.randn(20, 4), torch.randn(20).sign()) for name in "ab"}
    held = {name: TaskFeatures(torch.randn(20, 4), torch.randn(20).sign()) for name in "ab"}
    subsets = given_subsets(["a", "b"], [("a", "b")])
    by_held = estimate_affinity(fitted, subsets=subsets, ridge=1.0, validation=held).outcomes
    fits = fit_logistic(fitted, subsets, ridge=1.0, reduction="sum")
    margins = held["a"].features.double() @ fits.coefficients[0]
    expected = -torch.nn.functional.softplus(-held["a"].labels * margins).mean()
    assert by_held[0, 0] == pytest.approx(float(expected))


def test_5_gradients_are_of_the_layers_that_are_updated():
    model = Reasoner(TASKS, "mpnn", **SMALL)
    names = layer_parameters(model, "bfs", layer=2)
    assert names and all(name.startswith("processor.layers.2.") for name in names)
    features = gradient_features(model, paths("bfs"), layer=2, dim=9)
    values = dict(model.named_parameters())
    one = paths("bfs")
    margin = margins(model(one), one)[0][0]
    gradient = torch.autograd.grad(margin, [values[name] for name in names])
    projection = RandomProjection(sum(part.numel() for part in gradient), 9, seed=0)
    expected = projection.project(torch.cat([part.flatten() for part in gradient]))
    torch.testing.assert_close(features.features[0], expected, rtol=1e-4, atol=1e-6)


def test_6_signs_are_fitted_as_they_are_and_offsets_kept():
    torch.manual_seed(0)
    features, offsets = torch.randn(30, 3), torch.randn(30)
    subsets = given_subsets(["a", "b"], [("a", "b")])
    positive = {name: TaskFeatures(features, offsets=offsets) for name in "ab"}  # one class only
    negative = {name: TaskFeatures(-features, -torch.ones(30), offsets=-offsets) for name in "ab"}
    first, second = (
        fit_logistic(tasks, subsets, ridge=1.0, reduction="sum").coefficients for tasks in (positive, negative)
    )
    torch.testing.assert_close(first, second)
    without = {name: TaskFeatures(features) for name in "ab"}
    assert not torch.allclose(first, fit_logistic(without, subsets, ridge=1.0, reduction="sum").coefficients)


def test_7_unused_branches_stay_where_they_are_in_spite_of_momentum():
    torch.manual_seed(0)
    tree = BranchingStructure.separate(["bfs", "bellman_ford"], 1)
    model = Reasoner(["bfs", "bellman_ford"], "mpnn", hidden=6, layers=1, structure=tree)
    fit(model, steps=2, nodes=5, batch_size=1, validate_every=0, lr=1e-2)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2, fused=True)
    for name in ("bellman_ford", "bfs"):
        before = [value.clone() for value in model.processor.layers[0][1].parameters()]
        model.zero_grad(set_to_none=True)
        given = paths(name)
        loss(model(given), given).backward()
        optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(before, model.processor.layers[0][1].parameters()))


def test_8_a_projection_of_two_million_weights_is_never_held():
    projection = RandomProjection(1_900_000, 400, seed=0)
    rows = projection.block(1_899_990, 1_900_000, dtype=torch.float32, device="cpu")
    again = RandomProjection(1_900_000, 400, seed=0).block(1_899_995, 1_900_000, dtype=torch.float32, device="cpu")
    assert torch.equal(rows[5:], again)  # any rows by themselves, from their number alone
    assert bool((rows.abs() == rows[0, 0].abs()).all())


def test_9_no_more_predictions_are_differentiated_than_asked_for():
    model, given = Reasoner(["dfs"], "mpnn", **SMALL), paths("dfs")
    drawn = [gradient_features(model, given, dim=5, rows=7, seed=seed) for seed in (0, 1)]
    assert [len(one) for one in drawn] == [7, 7]
    assert not torch.equal(drawn[0].offsets, drawn[1].offsets)


def test_10_nothing_moves_the_generators_of_the_process():
    state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    model = Reasoner(["bfs"], "mpnn", **SMALL)
    torch.set_rng_state(state)
    fit(model, steps=1, nodes=5, batch_size=1, validate_every=0)
    gradient_features(model, paths("bfs"), dim=5)
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002


def test_11_a_batch_is_as_long_as_its_own_longest_trajectory():
    found = sample("mst_kruskal", nodes=6, samples=8, seed=0, p=0.7)
    order = found.lengths.argsort().tolist()
    half = found.select(order[:4])
    assert 1 < half.steps == int(found.lengths[order[3]]) < found.steps
    model = Reasoner(["mst_kruskal"], "mpnn", **SMALL)
    assert len(next(iter(model(half).hints.values()))) == half.steps - 1
