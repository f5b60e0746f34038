"""What the authors' program does wrong: one test each that ours does not, in their known order."""

import numpy as np
import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from reprise.algorithmic_reasoning import (
    ALGORITHMS,
    BranchingStructure,
    Reasoner,
    autobrane,
    estimate_affinity,
    fit,
    gradient_features,
    layer_parameters,
    margins,
    sample,
    search,
)
from reprise.core.ratios import peak_tensor_bytes
from reprise.tasks import Partition, RandomProjection, TaskFeatures, fit_logistic, given_subsets

TASKS = ["bfs", "bellman_ford", "mst_kruskal", "mst_prim"]
SMALL = {"hidden": 6, "layers": 3, "projection": 4}
FEATURES = {"dim": 10, "rows": 6, "hints": False}
ESTIMATE = {"subsets": 6, "size": 2, "ridge": 1.0}


def paths(name, seed=0):
    return sample(name, nodes=5, samples=1, seed=seed, p=0.6)


def run_search(calls, **options):
    """A whole search over three layers, with all that it asked for in `calls`."""

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

    return search(
        TASKS,
        make,
        train,
        given("data", 1),
        validation=given("validation", 2),
        gains=True,
        features=FEATURES,
        affinity=ESTIMATE,
        **options,
    )


@pytest.fixture(scope="module")
def searched():
    calls = {"train": [], "data": [], "validation": []}
    return run_search(calls), calls


def in_pairs(affinity, **options):
    """The first two tasks of a group and the others, whatever the affinity; two stay together."""
    best = Partition(affinity.tasks, np.arange(len(affinity.tasks)) // 2, value=0.0)
    return best, (best,)


@pytest.fixture(scope="module")
def searched_in_pairs():
    calls = {"train": [], "data": [], "validation": []}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(autobrane, "partition_path", in_pairs)
        return run_search(calls), calls


def test_1_the_search_goes_on_after_its_first_split(searched):
    found, _ = searched
    assert len(found.structure.layers) == 3
    assert max(split.layer for split in found.splits) >= 1
    assert any(split.partition.k > 1 for split in found.splits)


def test_2_each_group_begins_from_its_own_parent(searched_in_pairs):
    found, calls = searched_in_pairs
    assert [split.layer for split in found.splits] == [0, 1, 1, 2, 2]
    for index, (tasks, layer, before) in enumerate(calls["train"][1:], start=1):
        parent = next(s for s in found.splits if s.layer == layer - 1 and tasks <= set(s.tasks))
        assert all(torch.equal(before[name], parent.state[name]) for name in before if name in parent.state)
        if layer == 2:  # others were looked at since
            last = found.splits[index - 1]
            assert last is not parent
            assert not all(torch.equal(before[name], last.state[name]) for name in before if name in last.state)


def test_3_tasks_whose_names_begin_alike_are_kept_apart(searched_in_pairs):
    found, _ = searched_in_pairs
    assert len({name[:3] for name in ALGORITHMS}) < len(ALGORITHMS)
    split = next(split for split in found.splits if set(split.tasks) == {"mst_kruskal", "mst_prim"})
    model = Reasoner(split.tasks, "mpnn", **SMALL)
    model.load_state_dict(split.state)
    fitted, held = (
        {name: gradient_features(model, paths(name, seed), layer=1, **FEATURES) for name in split.tasks}
        for seed in (1, 2)
    )
    expected = estimate_affinity(fitted, validation=held, **ESTIMATE)
    np.testing.assert_array_equal(split.affinity.outcomes, expected.outcomes)
    assert not torch.equal(fitted["mst_kruskal"].offsets, fitted["mst_prim"].offsets)


def test_4_affinities_are_scored_on_what_is_given_for_validation(searched):
    found, calls = searched
    assert set(calls["validation"]) == set(TASKS)
    root = found.splits[0]
    model = Reasoner(TASKS, "mpnn", **SMALL)
    model.load_state_dict(root.state)
    fitted, scored = (
        {name: gradient_features(model, paths(name, seed), **FEATURES) for name in TASKS} for seed in (1, 2)
    )
    expected = estimate_affinity(fitted, validation=scored, **ESTIMATE).outcomes
    np.testing.assert_array_equal(root.affinity.outcomes, expected)
    assert not np.array_equal(root.affinity.outcomes, estimate_affinity(fitted, **ESTIMATE).outcomes)

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
    names = ["bfs", "bellman_ford"]
    model = Reasoner(names, "mpnn", hidden=6, layers=1, structure=BranchingStructure.separate(names, 1))
    states = []

    def keep(*_):
        states.append([[value.clone() for value in branch.parameters()] for branch in model.processor.layers[0]])

    hooks = register_optimizer_step_pre_hook(keep), register_optimizer_step_post_hook(keep)
    try:
        fit(model, steps=3, nodes=5, batch_size=1, validate_every=0, lr=1e-2)
    finally:
        for hook in hooks:
            hook.remove()
    assert len(states) == 2 * 6  # before and after an update of each task, three times
    for update in range(6):
        before, after = states[2 * update : 2 * update + 2]
        moved = [any(not torch.equal(a, b) for a, b in zip(*branches)) for branches in zip(before, after)]
        assert moved == [update % 2 == 0, update % 2 == 1]


def test_8_a_projection_of_many_weights_is_never_held():
    weights, dim = 200_000, 400
    projection = RandomProjection(weights, dim, seed=0)
    vector = torch.ones(1, weights)
    whole = 4 * weights * dim
    assert peak_tensor_bytes(lambda: projection.project(vector)) < whole / 4
    rows = projection.block(199_990, 200_000, dtype=torch.float32, device="cpu")
    again = RandomProjection(weights, dim, seed=0).block(199_995, 200_000, dtype=torch.float32, device="cpu")
    assert torch.equal(rows[5:], again)  # any rows by themselves, from their number alone


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
