"""Districts held out: what a model may read, and what it is judged on."""

import numpy as np
import pytest

from reprise.road_safety import (
    LeakageError,
    RoadGNN,
    districts,
    held_out_metrics,
    network_learner,
    part_of,
    past_count_learner,
    train,
)
from reprise.road_safety.metrics import evaluate, monthly_mean

YEARS = {"train_years": (2019,), "valid_years": (2020,), "test_years": (2021,)}


def test_a_part_holds_its_segments_with_everything_they_have(town):
    kept = np.arange(24) % 3 != 0
    part = part_of(town, kept)
    assert part.num_edges == kept.sum() and part.num_nodes == town.num_nodes
    assert (part.counts.toarray() == town.counts.toarray()[:, kept]).all()
    assert (part.edge_index == town.edge_index[:, kept]).all() and (part.length == town.length[kept]).all()
    assert part.volume[2020] == pytest.approx(town.volume[2020][kept], nan_ok=True)
    assert len(part.streets) == kept.sum()


def test_districts_are_contiguous_and_cover_everything(town):
    district = districts(town, 3)
    assert sorted(set(district)) == [0, 1, 2] and len(district) == 24


def test_nothing_of_the_district_is_read(town):
    held_out = districts(town, 3) == 0
    read = []

    def learn(dataset):
        read.append(dataset)

        def score(other, row):
            read.append(other)
            return np.asarray(other.counts[:row].sum(axis=0)).ravel()

        return score

    found = held_out_metrics(town, learn, held_out, (2019,), (2021,))
    whole, judged_in_time, part, judged_in_space = read[0], read[1], read[13], read[14]
    assert whole is judged_in_time is town
    assert part.num_edges == (~held_out).sum()
    assert not judged_in_space.counts.toarray()[:, held_out].any()
    assert (judged_in_space.counts.toarray()[:, ~held_out] == town.counts.toarray()[:, ~held_out]).all()
    wanted, got = part.scaler((2019,)), judged_in_space.scaler((2019,))
    assert got.length == wanted.length and got.length != town.scaler((2019,)).length
    assert found["space"]["auroc"] == 0.5 != found["time"]["auroc"]


def test_past_counts_say_nothing_of_a_place_never_seen(town):
    found = held_out_metrics(town, past_count_learner, districts(town, 3) == 1, (2019,), (2021,))
    rows = []
    for row in town.rows_of((2021,)):
        chosen = districts(town, 3) == 1
        past = np.asarray(town.counts[:row].sum(axis=0)).ravel()[chosen]
        rows.append(evaluate(past, town.counts[[int(row)]].toarray()[0][chosen]))
    assert found["time"]["auroc"] == pytest.approx(monthly_mean(rows, "auroc"))
    assert found["space"]["auroc"] == 0.5


@pytest.mark.parametrize("history", [False, True])
def test_a_network_learner_trains_and_scores_as_train_does(town, history):
    def model(node, edge):
        return RoadGNN(node, edge, 4)

    learn = network_learner(model, *YEARS.values(), history=history, epochs=2, lr=1e-2, seed=3)
    score = learn(town)
    rows = [evaluate(score(town, int(row)), town.counts[[int(row)]].toarray()[0]) for row in town.rows_of((2021,))]
    found = train(town, model, **YEARS, history=history, epochs=2, lr=1e-2, seed=3)
    assert monthly_mean(rows, "auroc") == pytest.approx(found.metrics["test"]["auroc"], abs=1e-9)


def test_what_leaks_or_is_no_mask_is_refused(town):
    with pytest.raises(LeakageError, match="test_years must not be among train_years"):
        held_out_metrics(town, past_count_learner, np.arange(24) < 3, (2019,), (2019,))
    for mask in (np.zeros(24), np.ones(24, dtype=bool), np.ones(3, dtype=bool)):
        with pytest.raises(ValueError, match=r"mask of shape \(24,\)"):
            held_out_metrics(town, past_count_learner, mask, (2019,), (2021,))
