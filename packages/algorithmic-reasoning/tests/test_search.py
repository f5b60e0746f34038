"""Linearised predictions, estimated affinity and the search for a tree."""

import numpy as np
import pytest
import torch
from torch.nn.functional import softplus

from reprise.algorithmic_reasoning import (
    BranchingStructure,
    Reasoner,
    adapted_affinity,
    autobrane,
    estimate_affinity,
    evaluate,
    fit,
    gradient_features,
    inherit,
    layer_parameters,
    loss,
    margins,
    sample,
    score,
    search,
    spec,
)
from reprise.algorithmic_reasoning.losses import element_losses
from reprise.tasks import (
    Partition,
    RandomProjection,
    TaskFeatures,
    adapted_parameters,
    fit_logistic,
    given_subsets,
    multiclass_margin,
    parameter_count,
)

SMALL = {"hidden": 8, "layers": 2, "projection": 4}
TASKS = ["bfs", "bellman_ford", "dfs"]


def paths(name, *, samples=2, seed=3):
    return sample(name, nodes=5, samples=samples, seed=seed, p=0.6)


def model_of(tasks=TASKS, **options):
    torch.manual_seed(0)
    return Reasoner(tasks, "mpnn", **SMALL | options).double()


@pytest.mark.parametrize("name", ["bfs", "dfs", "bridges", "mst_kruskal", "floyd_warshall"])
def test_losses_of_margins_are_the_losses_of_predictions(name):
    model, given = model_of([name]), paths(name)
    prediction = model(given)
    values, signs = margins(prediction, given, hints=False)
    total = torch.zeros((), dtype=torch.float64)
    for key, logits in prediction.outputs.items():
        total = total + element_losses(spec(name)[key], logits, given.outputs[key])[0].sum()
    # far from certainty nothing is clipped
    assert bool((values.abs() < 9).all())
    torch.testing.assert_close(softplus(-signs * values).sum(), total)


def test_hints_count_at_the_steps_that_a_graph_takes():
    given = paths("bellman_ford", samples=4)
    prediction = model_of()(given)
    with_hints, _ = margins(prediction, given)
    without, _ = margins(prediction, given, hints=False)
    steps = int((given.lengths - 1).clamp_min(0).sum())
    assert len(with_hints) - len(without) == steps * given.nodes * 2  # pi_h and msk; d is a scalar


def test_of_many_hints_the_first_alone_may_count():
    given = paths("dfs", samples=1)
    prediction = model_of()(given)
    outputs, first = margins(prediction, given, hints=False)[0], margins(prediction, given, hints="first")[0]
    assert len(first) - len(outputs) == (int(given.lengths) - 1) * given.nodes  # pi_h
    expected = multiclass_margin(prediction.hints["pi_h"], given.hints["pi_h"][1:])
    torch.testing.assert_close(first[len(outputs) :], expected.flatten())
    few = paths("bfs", samples=1)  # it has two
    prediction = model_of()(few)
    assert torch.equal(margins(prediction, few, hints="first")[0], margins(prediction, few)[0])
    with pytest.raises(ValueError, match="hints must be"):
        margins(prediction, few, hints="last")


def test_gradients_predict_the_margins_of_a_network_nearby_to_first_order():
    model, given = model_of(), paths("bfs", samples=1)
    names = layer_parameters(model, "bfs", layer=1)
    features = gradient_features(model, given, layer=1, dim=30, seed=5)
    projection = RandomProjection(parameter_count(model, names), 30, seed=5)
    direction = torch.randn(30, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    errors = []
    for size in (1e-3, 1e-4):
        moved = adapted_parameters(model, size * direction, projection=projection, parameters=names)
        prediction = torch.func.functional_call(model, moved, (given,))
        exact, _ = margins(prediction, given)
        linear = features.offsets + features.features @ (size * direction)
        errors.append(float((exact - linear).detach().norm()))
    assert errors[1] < errors[0] / 50  # second order: a hundredth


def test_gradients_are_of_the_layers_that_may_still_branch_and_of_the_tasks_own_modules():
    tree = BranchingStructure([[set(TASKS)], [{"bfs", "bellman_ford"}, {"dfs"}]])
    names = layer_parameters(model_of(structure=tree), "dfs", layer=1)
    assert all(name.startswith("processor.layers.1.1.") for name in names)
    assert not any("norm" in name for name in names)
    with pytest.raises(ValueError, match="layer must be between 0 and the number of layers"):
        layer_parameters(model_of(), "dfs", layer=2)


def test_planted_groups_have_the_larger_affinity():
    generator = torch.Generator().manual_seed(0)
    direction = torch.randn(6, generator=generator)
    features = {}
    for index, name in enumerate("abcd"):
        rows = torch.randn(80, 6, generator=generator)
        sign = 1.0 if index < 2 else -1.0
        features[name] = TaskFeatures(rows, labels=(sign * rows @ direction).sign())
    U = estimate_affinity(features, subsets=6, size=2, ridge=1.0).symmetric().matrix
    inside = [U[0, 1], U[2, 3]]
    across = [U[i, j] for i in (0, 1) for j in (2, 3)]
    assert min(inside) > max(across)


def test_adapted_scores_are_those_of_the_network_moved_to_each_fit():
    model, validation = model_of(), {name: paths(name, samples=20, seed=8) for name in TASKS}
    options = {"dim": 20, "rows": 20, "layer": 1, "seed": 4}
    features = {name: gradient_features(model, paths(name), **options) for name in TASKS}
    subsets = given_subsets(TASKS, [("bfs", "dfs"), ("bfs", "bellman_ford"), ("bellman_ford", "dfs")])
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = adapted_affinity(model, features, validation, layer=1, projection_seed=4, subsets=subsets, ridge=1e-3)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())

    names = layer_parameters(model, "bfs", layer=1)
    projection = RandomProjection(parameter_count(model, names), 20, seed=4)
    fits = fit_logistic(features, subsets, ridge=1e-3, reduction="sum").coefficients
    for k, pair in enumerate([("bfs", "dfs"), ("bfs", "bellman_ford"), ("bellman_ford", "dfs")]):
        moved = adapted_parameters(model, fits[k], projection=projection, parameters=names)
        for name in pair:
            prediction = torch.func.functional_call(model, moved, (validation[name],))
            assert found.outcomes[k, TASKS.index(name)] == pytest.approx(score(prediction, validation[name]))
    # Far from where it was, the network says something else.
    unmoved = {name: evaluate(model, validation[name]) for name in TASKS}
    assert any(found.outcomes[0, TASKS.index(name)] != unmoved[name] for name in ("bfs", "dfs"))


def test_adapted_scores_need_tasks_and_graphs_to_score_on():
    features = {name: gradient_features(model_of(), paths(name), dim=5, rows=5) for name in TASKS}
    with pytest.raises(ValueError, match="features must be of at least two tasks, got 0"):
        adapted_affinity(model_of(), {}, {})
    with pytest.raises(ValueError, match="validation must have graphs of every task, got none of dfs"):
        adapted_affinity(model_of(), features, {name: paths(name) for name in TASKS[:2]})


def test_adapted_scores_need_layers_that_all_share():
    tree = BranchingStructure([[set(TASKS)], [{"bfs", "bellman_ford"}, {"dfs"}]])
    model = model_of(structure=tree)
    features = {name: gradient_features(model, paths(name), dim=5, rows=5) for name in TASKS}
    with pytest.raises(ValueError, match="model must share every layer from 0 on"):
        adapted_affinity(model, features, {name: paths(name) for name in TASKS})


def make(tasks):
    torch.manual_seed(0)
    return Reasoner(tasks, "mpnn", **SMALL)


def searched(layers_seen, **options):
    def train(model, layer):
        before = {name: value.clone() for name, value in model.state_dict().items()}
        layers_seen.append((tuple(model.routes), layer, before))
        trained = [name for name, _ in model.named_parameters() if name.startswith(f"processor.layers.{layer}.")]
        fit(model, steps=1, nodes=5, batch_size=2, validate_every=0, parameters=trained, lr=1e-2)

    given = {"features": {"dim": 20, "rows": 15}, "affinity": {"subsets": 6, "size": 2, "ridge": 1.0}}
    return search(["bfs", "bellman_ford", "dfs", "mst_prim"], make, train, paths, **given | options)


def grouped(labels):
    """What splits a group as its labels say, whatever the affinity."""

    def partition_path(affinity, **options):
        best = Partition(affinity.tasks, np.array(labels[: len(affinity.tasks)]), value=0.0)
        return best, (best,)

    return partition_path


def test_the_search_returns_a_tree_and_every_group_goes_on_from_its_own_parent():
    seen = []
    found = searched(seen, ridges=(0.001, 0.01))
    assert found.structure.tasks == {"bfs", "bellman_ford", "dfs", "mst_prim"}
    assert len(found.structure.layers) == 2
    assert found.trainings == found.gradient_passes == sum(len(tasks) for tasks, _, _ in seen) <= 4 * 2
    for (tasks, layer, before), split in zip(seen, found.splits):
        assert (set(tasks), layer) == (set(split.tasks), split.layer)
        if layer == 0:
            continue
        parent = next(s for s in found.splits if s.layer == layer - 1 and set(tasks) <= set(s.tasks))
        shared = [name for name in before if name in parent.state]
        assert any(name.startswith("processor.layers.0.") for name in shared)
        for name in shared:
            assert torch.equal(before[name], parent.state[name])


def test_a_search_may_score_by_adapted_networks(monkeypatch):
    monkeypatch.setattr(autobrane, "partition_path", grouped([0, 0, 1, 1]))
    features = {"dim": 20, "rows": 15, "seed": 3}
    held = {name: paths(name, seed=11, samples=4) for name in ("bfs", "bellman_ford", "dfs", "mst_prim")}
    found = searched([], adapted=True, validation=held.__getitem__, features=features)
    assert [split.layer for split in found.splits] == [0, 1, 1]
    for split in found.splits:
        model = make(split.tasks)
        model.load_state_dict(split.state)
        fitted = {name: gradient_features(model, paths(name), layer=split.layer, **features) for name in split.tasks}
        expected = adapted_affinity(
            model, fitted, held, layer=split.layer, projection_seed=3, subsets=6, size=2, ridge=1.0
        )
        np.testing.assert_array_equal(split.affinity.outcomes, expected.outcomes)


@pytest.mark.parametrize("labels", [[0, 1, 2, 3], [0, 0, 0, 0], [0, 0, 1, 1], [0, 1, 1, 1]])
@pytest.mark.parametrize("first_layer", [0, 1])
def test_a_tree_may_begin_from_what_its_search_trained(labels, first_layer, monkeypatch):
    monkeypatch.setattr(autobrane, "partition_path", grouped(labels))
    found = searched([], first_layer=first_layer)
    assert found.structure.counts[-1] >= max(labels) + 1
    torch.manual_seed(7)
    model = Reasoner(sorted(found.structure.tasks), "mpnn", **SMALL, structure=found.structure)
    inherit(model, found)
    for name in model.routes:
        last = [split for split in found.splits if name in split.tasks][-1]
        alone = make(last.tasks)
        alone.load_state_dict(last.state)
        given = paths(name, seed=6)
        torch.testing.assert_close(model(given).outputs, alone(given).outputs)
    with pytest.raises(ValueError, match="structure that the search found"):
        inherit(Reasoner(TASKS, "mpnn", **SMALL), found)


def test_the_first_network_is_trained_from_the_bottom_whatever_may_branch():
    seen = []
    searched(seen, first_layer=1)
    layers = [layer for _, layer, _ in seen]
    assert layers == [0] + [1] * (len(layers) - 1)


def test_layers_before_the_first_are_shared():
    found = searched([], first_layer=1)
    assert found.structure.counts[0] == 1


def test_training_lowers_the_loss_and_keeps_the_best_weights():
    torch.manual_seed(0)
    model = Reasoner(["bfs"], "mpnn", hidden=16, layers=1, projection=None)
    held = paths("bfs", samples=16, seed=9)
    before = float(loss(model(held), held).detach())
    history = fit(model, steps=40, lr=1e-2, nodes=5, validate_every=10)
    assert float(loss(model(held), held).detach()) < before
    assert history.best_step in {10, 20, 30, 40} and len(history.losses) == 40
    best = max(history.scores, key=lambda row: row["bfs"])
    assert history.best_step == best["step"]
    assert 0 <= evaluate(model, held, batch_size=3) <= 1
    assert evaluate(model, held, batch_size=3) == pytest.approx(evaluate(model, held))


def test_training_is_the_same_from_the_same_seeds():
    def run():
        torch.manual_seed(0)
        model = Reasoner(["bfs"], "mpnn", hidden=8, layers=1)
        fit(model, steps=3, nodes=5, validate_every=0, generator=torch.Generator().manual_seed(4))
        return model.state_dict()

    first, second = run(), run()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps must be at least 1"),
        ({"lr": 0.0}, "lr must be finite, above 0"),
        ({"tasks": ["sort"]}, "tasks must be among bfs"),
        ({"parameters": ["weight"]}, "parameters must be names of the model's"),
        ({"parameters": []}, "parameters must be names of the model's, at least one"),
    ],
)
def test_bad_options_of_training_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        fit(model_of(), **({"steps": 1} | options))
