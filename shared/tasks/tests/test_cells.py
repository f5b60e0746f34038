import os

import numpy as np
import pytest
import torch

from reprise.tasks import (
    TaskFeatures,
    estimate_subsets,
    fit_logistic,
    given_subsets,
    linearised_scores,
    map_cells,
    measure_subsets,
    random_subsets,
)


@pytest.fixture
def noisy_training():
    def train(names, seed):  # local, so that it travels to other processes by value
        generator = np.random.default_rng(seed)
        return {name: len(names) + generator.standard_normal() for name in names}

    return train


@pytest.fixture
def tasks():
    generator = torch.Generator().manual_seed(0)
    return {name: TaskFeatures(torch.randn(20, 4, generator=generator)) for name in range(12)}


@pytest.fixture(scope="module")
def cluster():
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as local,
        distributed.Client(local, set_as_default=False) as client,
    ):
        yield client


def test_results_keep_the_cells_order_and_progress_counts_them():
    seen = []
    assert map_cells(lambda cell: cell**2, range(5), progress=lambda *pair: seen.append(pair)) == [0, 1, 4, 9, 16]
    assert seen == [(done, 5) for done in range(1, 6)]


def test_processes_change_no_number(noisy_training):
    subsets = random_subsets(6, count=8, size=3)
    alone = measure_subsets(noisy_training, subsets, seed=3)
    np.testing.assert_array_equal(measure_subsets(noisy_training, subsets, seed=3, workers=2), alone)
    assert len(set(map_cells(lambda _: os.getpid(), range(40), workers=2)) - {os.getpid()}) >= 1


def test_dask_workers_change_no_number(cluster, tasks, noisy_training):
    subsets = random_subsets(12, count=100, size=3)
    alone = measure_subsets(noisy_training, subsets, seed=3)
    np.testing.assert_array_equal(measure_subsets(noisy_training, subsets, seed=3, dask=cluster), alone)
    np.testing.assert_array_equal(
        measure_subsets(noisy_training, subsets, seed=3, dask=cluster.scheduler.address), alone
    )
    estimated = estimate_subsets(tasks, subsets, ridge=0.1, dask=cluster)
    np.testing.assert_allclose(estimated, estimate_subsets(tasks, subsets, ridge=0.1), rtol=1e-9)


def test_dask_work_runs_in_both_worker_processes(cluster):
    def work(_):
        import time

        time.sleep(0.2)
        return os.getpid()

    processes = set(map_cells(work, range(8), dask=cluster))
    assert len(processes) == 2 and os.getpid() not in processes


def test_a_subsets_seed_does_not_depend_on_its_place(noisy_training):
    first = measure_subsets(noisy_training, given_subsets(3, [(0, 1), (1, 2)]), seed=1)
    second = measure_subsets(noisy_training, given_subsets(3, [(1, 2), (0, 1)]), seed=1)
    np.testing.assert_array_equal(first, second[::-1])
    assert not np.array_equal(first, measure_subsets(noisy_training, given_subsets(3, [(0, 1), (1, 2)]), seed=2))


def test_estimates_are_the_scores_of_the_fits_on_held_out_predictions(tasks):
    subsets = random_subsets(12, count=70, size=3)
    generator = torch.Generator().manual_seed(9)
    held = {name: TaskFeatures(torch.randn(15, 4, generator=generator)) for name in tasks}
    fits = fit_logistic(tasks, subsets, ridge=0.1)
    for validation in (None, held):
        expected = linearised_scores(fits, tasks if validation is None else validation)
        found = estimate_subsets(tasks, subsets, ridge=0.1, validation=validation)
        np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_a_missing_score_is_refused_with_its_task_and_subset():
    with pytest.raises(ValueError, match=r"finite score for task 1 of subset \(0, 1\), got None"):
        measure_subsets(lambda names, seed: {0: 1.0}, given_subsets(3, [(0, 1)]))
    with pytest.raises(ValueError, match=r"finite score for task 0 of subset \(0, 1\), got nan"):
        measure_subsets(lambda names, seed: dict.fromkeys(names, np.nan), given_subsets(3, [(0, 1)]))


def test_bad_numbers_of_workers_are_refused():
    with pytest.raises(ValueError, match="workers must be >= 1, got 0"):
        map_cells(abs, [1], workers=0)
