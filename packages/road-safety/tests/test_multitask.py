"""Training on several tasks: what is shared, what is learnt, what is refused."""

import numpy as np
import pytest
import torch

from reprise.road_safety import RoadGNN, synthetic_states, train_multitask
from reprise.road_safety.contrastive import supervised_contrastive
from reprise.road_safety.multitask import _at, _tasks, _volumes
from reprise.road_safety.training import accident_loss

YEARS = ((2018,), (2019,), (2020,))
ALL_KINDS = ("accident_classification", "accident_regression", "volume_regression")


@pytest.fixture(scope="module")
def states():
    return [state.dataset for state in synthetic_states(nodes=120, seed=1)[:2]]


def made(node, edge):
    return RoadGNN(node, edge, 8)


def test_tasks_share_the_encoder_and_not_the_head(states):
    tasks = [f"{state.name}_{kind}" for state in states for kind in ALL_KINDS]
    found = train_multitask(states, tasks, made, *YEARS, epochs=2, lr=1e-2, seed=1)
    assert list(found.metrics) == tasks
    first = found.models[tasks[0]]
    for task in tasks[1:]:
        other = found.models[task]
        assert other.encoder is first.encoder and other.head is not first.head
        assert not torch.equal(other.head[0].weight, first.head[0].weight)
    assert np.isfinite(found.metrics["North_accident_classification"]["test"]["auroc"])
    assert np.isfinite(found.metrics["North_volume_regression"]["test"]["mae"])
    orders = [[row["task"] for row in found.history if row["epoch"] == epoch] for epoch in (1, 2)]
    assert sorted(orders[0]) == sorted(orders[1]) == sorted(tasks)
    assert orders[0] != orders[1]


def test_a_seed_repeats_and_the_global_generator_stays(states):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    runs = [
        train_multitask(states, [f"{s.name}_accident_regression" for s in states], made, *YEARS, epochs=2, seed=seed)
        for seed in (1, np.int64(1), 2)
    ]
    assert torch.equal(before, torch.get_rng_state())
    errors = [run.metrics["East_accident_regression"]["test"]["mae_pos"] for run in runs]
    assert errors[0] == errors[1] != errors[2]


@pytest.mark.parametrize("option", [{"sam": 0.05}, {"contrastive": 0.9}, {"weight_decay": 1e-2}])
def test_every_optional_trainer_changes_what_is_learnt(states, option):
    tasks = [f"{state.name}_accident_classification" for state in states]
    plain, other = (
        train_multitask(states, tasks, made, *YEARS, epochs=3, lr=1e-2, seed=1, **given) for given in ({}, option)
    )
    first, last = (np.mean([row["loss"] for row in other.history if row["epoch"] == epoch]) for epoch in (1, 3))
    assert last < first
    assert plain.metrics[tasks[0]]["test"]["brier"] != other.metrics[tasks[0]]["test"]["brier"]


def test_one_step_of_two_tasks_is_adam_on_their_losses_in_turn(states):
    """One epoch of two one-step tasks, against the same written out."""
    names = [state.name for state in states]
    tasks = [f"{name}_volume_regression" for name in names]
    found = train_multitask(states, tasks, made, *YEARS, epochs=1, lr=1e-2, seed=3, evaluate_every=1)
    given = _tasks(states, tasks, YEARS, True, "cpu")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        models = [made(task.inputs.in_node, task.inputs.in_edge) for task in given]
    models[1].encoder = models[0].encoder
    together = torch.nn.ModuleList(models)
    optimizer = torch.optim.Adam(together.parameters(), lr=1e-2)
    for index in np.random.default_rng(3).permutation(2):
        ((x, z), volume), *_ = list(_volumes(given[index], 0))
        known = np.flatnonzero(np.isfinite(volume))
        out, _ = _at(models[index], given[index].inputs, x, z, known)
        optimizer.zero_grad()
        (out - torch.as_tensor(volume[known])).abs().mean().backward()
        optimizer.step()
    for task, model in zip(tasks, models, strict=True):
        for a, b in zip(found.models[task].parameters(), model.parameters(), strict=True):
            assert torch.allclose(a, b, atol=1e-6)


def test_traffic_is_not_among_the_features_by_which_it_is_told(states):
    from dataclasses import replace

    other = replace(states[0], volume={year: 7 * values for year, values in states[0].volume.items()})
    task = [f"{states[0].name}_volume_regression"]
    first, second = (_tasks([state], task, YEARS, True, "cpu")[0] for state in (states[0], other))
    for ((x, z), volume), ((x2, z2), volume2) in zip(_volumes(first, 1), _volumes(second, 1), strict=True):
        assert torch.equal(x, x2) and torch.equal(z, z2)
        assert np.allclose(volume2, 7 * volume, equal_nan=True)


def test_volume_tasks_see_the_mean_weather_of_the_year_and_no_accident_of_it(states):
    task = _tasks(states[:1], [f"{states[0].name}_volume_regression"], YEARS, True, "cpu")[0]
    ((x, z), _), *_ = list(_volumes(task, 2))
    inputs = task.inputs
    assert torch.allclose(x[:, inputs.static.shape[1] :], inputs.weather[24:36].mean(dim=0))
    assert torch.equal(z[:, -3:], inputs.past[24])


def test_contrastive_loss_is_its_formula():
    torch.manual_seed(0)
    embedding, label = torch.randn(7, 3), torch.tensor([0, 0, 1, 1, 1, 0, 2])
    z = embedding / embedding.norm(dim=1, keepdim=True)
    terms = []
    for i in range(7):
        others = [a for a in range(7) if a != i]
        same = [p for p in others if label[p] == label[i]]
        if same:
            bottom = sum(torch.exp(z[i] @ z[a] / 0.3) for a in others)
            terms.append(-sum(torch.log(torch.exp(z[i] @ z[p] / 0.3) / bottom) for p in same) / len(same))
    assert torch.allclose(supervised_contrastive(embedding, label, 0.3), sum(terms) / len(terms), atol=1e-5)
    assert supervised_contrastive(embedding[:2], torch.tensor([0, 1])) == 0


def test_losses_of_accidents():
    out, counts = torch.tensor([0.0, 2.0]), torch.tensor([0, 3])
    assert accident_loss(out, counts, "regression") == pytest.approx(0.5)
    expected = (np.log(2) + np.log1p(np.exp(-2))) / 2
    assert float(accident_loss(out, counts, "classification")) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"tasks": []}, ValueError, "tasks must name at least one"),
        ({"tasks": "North_accident_classification"}, ValueError, "tasks"),
        ({"tasks": ["South_accident_classification"]}, ValueError, r"name among \['East', 'North'\]"),
        ({"tasks": ["North_ranking"]}, ValueError, "tasks must be of the form"),
        ({"model": made(2, 2)}, TypeError, "model must be a callable"),
        ({"model": lambda node, edge: torch.nn.Linear(2, 2)}, TypeError, "model must return a RoadGNN"),
        ({"train_years": (2019,)}, ValueError, "train_years must lie before"),
        ({"train_years": {"North": (2018,)}}, ValueError, "train_years must name East"),
        ({"contrastive": 1.5}, ValueError, "contrastive"),
        ({"sam": -1.0}, ValueError, "sam"),
        ({"temperature": 0.0}, ValueError, "temperature"),
        ({"epochs": True}, TypeError, "epochs"),
    ],
)
def test_bad_input_is_named(states, change, error, said):
    given = {
        "tasks": ["North_accident_classification", "East_accident_classification"],
        "model": made,
        "train_years": (2018,),
        "valid_years": (2019,),
        "test_years": (2020,),
    }
    with pytest.raises(error, match=said):
        train_multitask(states, **given | change)


def test_data_sets_that_do_not_fit_are_named(states):
    tasks = [f"{state.name}_accident_classification" for state in states]
    with pytest.raises(ValueError, match="datasets must have different names"):
        train_multitask([states[0], states[0]], tasks[:1], made, *YEARS)
    wide = states[1].with_node_features(np.ones((states[1].num_nodes, 3)))
    with pytest.raises(ValueError, match="equally many columns"):
        train_multitask([states[0], wide], tasks, made, *YEARS)
    with pytest.raises(TypeError, match="datasets must hold RoadDataset"):
        train_multitask(["DE"], tasks, made, *YEARS)
    from dataclasses import replace

    with pytest.raises(ValueError, match="needs traffic counts"):
        train_multitask([replace(states[0], volume={})], [f"{states[0].name}_volume_regression"], made, *YEARS)
