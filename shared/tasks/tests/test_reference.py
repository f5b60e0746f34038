"""Agreement with an independent computation in float64: a small policy, its gradients, fits, affinity and groups."""

import numpy as np
import pytest
import torch
from torch import nn

from reprise.tasks import (
    TaskFeatures,
    affinity_matrix,
    fit_logistic,
    given_subsets,
    linearised_scores,
    partition,
    sample_gradients,
    solve_low_rank,
)


@pytest.fixture(scope="module")
def data(reference):
    with np.load(reference("multi-objective-rl/policygradex_reference.npz")) as archive:
        return {name: archive[name] for name in archive}


@pytest.fixture(scope="module")
def policy(data):
    net = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 2)).double()
    net.load_state_dict({name[7:]: torch.from_numpy(data[name]) for name in data if name.startswith("policy_")})
    return net


def log_probability(policy, observation, action):
    return policy(observation).log_softmax(-1).gather(-1, action[..., None]).squeeze(-1)


@pytest.fixture(scope="module")
def gradients(data, policy):
    observations, actions = torch.from_numpy(data["observations"]), torch.from_numpy(data["actions"])
    return [sample_gradients(policy, log_probability, pair) for pair in zip(observations, actions)]


@pytest.fixture(scope="module")
def tasks(data, gradients):
    return {
        index: TaskFeatures(
            found.features @ torch.from_numpy(data["projection"]), labels=advantage.sign(), weights=advantage.abs()
        )
        for index, (found, advantage) in enumerate(zip(gradients, torch.from_numpy(data["advantages"])))
    }


@pytest.fixture(scope="module")
def fits(data, tasks):
    # the reference's penalty is ρ‖v‖²; ours is (ridge/2)‖v‖²
    return fit_logistic(
        tasks, given_subsets(10, data["subsets"].tolist()), ridge=2 * float(data["ridge"]), tolerance=1e-10
    )


@pytest.fixture(scope="module")
def affinity(fits, tasks):
    return affinity_matrix(linearised_scores(fits, tasks), fits.subsets)


def test_gradients_equal_the_reference(data, gradients):
    np.testing.assert_allclose(gradients[0].features[:5], data["gradients_task0"], rtol=0, atol=1e-13)


def test_subset_solutions_equal_the_reference(data, fits):
    np.testing.assert_allclose(fits.coefficients, data["solutions"], rtol=0, atol=1e-8)


def test_affinity_and_counts_equal_the_reference(data, affinity):
    np.testing.assert_allclose(affinity.matrix, data["affinity"], rtol=0, atol=1e-9)
    np.testing.assert_array_equal(affinity.counts, data["counts"])


@pytest.mark.parametrize("k", [2, 3, 4])
def test_relaxation_and_groups_equal_the_reference(data, affinity, k):
    found = partition(affinity, k=k)
    # the reference solved the affinity unscaled, to a general solver's tolerance
    assert found.relaxation.value == pytest.approx(float(data[f"sdp_value_k{k}"]), abs=1e-6)
    np.testing.assert_array_equal(found.labels, data[f"labels_k{k}"])
    low_rank = solve_low_rank((affinity.matrix + affinity.matrix.T) / 2, k=k)
    assert low_rank.value == pytest.approx(found.relaxation.value, abs=1e-3 * np.ptp(affinity.matrix))


@pytest.mark.parametrize(("index", "distance"), [(0, 1e-3), (1, 1e-2), (2, 1e-1)])
def test_error_of_the_linear_model_equals_the_reference(data, policy, gradients, index, distance):
    named = dict(policy.named_parameters())
    norm = torch.cat([value.flatten() for value in named.values()]).norm().item()
    direction = torch.from_numpy(data["direction"])
    change = distance * norm * direction / direction.norm()
    pieces = change.split([value.numel() for value in named.values()])
    moved = {name: (value + piece.view_as(value)).detach() for (name, value), piece in zip(named.items(), pieces)}
    errors = []
    for task, found in enumerate(gradients):
        observations, actions = torch.from_numpy(data["observations"][task]), torch.from_numpy(data["actions"][task])
        logits = torch.func.functional_call(policy, moved, (observations,))
        reached = logits.log_softmax(-1).gather(1, actions[:, None]).squeeze(1).detach()
        remainder = reached - found.values - found.features @ change
        errors.append(((remainder**2).sum() / (reached**2).sum()).item())
    assert np.mean(errors) == pytest.approx(float(data["linear_error"][index]), rel=1e-6)
