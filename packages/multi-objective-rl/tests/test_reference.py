"""Every array of the reference: gradients, solutions, affinity, first-order errors, curvature, groups."""

from dataclasses import dataclass

import gymnasium
import numpy as np
import pytest
import torch

from reprise.core import DataSet, MissingData, RemoteFile
from reprise.hvp import eigsh
from reprise.multi_objective_rl import (
    Policy,
    PolicyGradEx,
    Transitions,
    hessian_trace,
    linearisation_error,
    policy_gradients,
    policy_hessian,
)
from reprise.tasks import RandomProjection, given_subsets, partition

DATA = DataSet(
    "multi-objective-rl",
    (RemoteFile("policygradex_reference.npz"),),
    source="computed independently for this project",
    size="0.2 MB",
    licence="MIT",
)
NAMES = tuple("abcdefghij")


@pytest.fixture(scope="module")
def reference():
    try:
        folder = DATA.find()
    except MissingData as error:
        pytest.skip(str(error))
    with np.load(folder / "policygradex_reference.npz") as file:
        return {name: file[name] for name in file.files}


@pytest.fixture(scope="module")
def policy(reference):
    env = gymnasium.make("CartPole-v1")
    policy = Policy(env.observation_space, env.action_space, (16, 16)).double()
    with torch.no_grad():
        for layer in (0, 2, 4):
            for part in ("weight", "bias"):
                tensor = torch.from_numpy(reference[f"policy_{layer}.{part}"])
                getattr(policy.network[layer], part).copy_(tensor)
    return policy


@pytest.fixture(scope="module")
def transitions(reference, policy):
    observations, actions, advantages = (
        torch.from_numpy(reference[name]).flatten(0, 1) for name in ("observations", "actions", "advantages")
    )
    with torch.no_grad():
        log_probs = policy.log_prob(observations, actions)
    tasks = torch.arange(10).repeat_interleave(200)
    return Transitions(observations, actions, log_probs, advantages, torch.zeros_like(advantages), tasks, NAMES)


@pytest.fixture(scope="module")
def estimate(reference, policy, transitions):
    matrix = torch.from_numpy(reference["projection"])

    @dataclass(frozen=True)
    class Given(RandomProjection):
        def block(self, start, stop, *, dtype=torch.float64, device="cpu"):
            return matrix[start:stop].to(dtype)

    subsets = given_subsets(NAMES, [[NAMES[task] for task in subset] for subset in reference["subsets"]])
    options = {"projection": Given(*matrix.shape), "ridge": float(reference["ridge"])}
    return PolicyGradEx(**options).fit_transitions(policy, transitions, subsets=subsets)


def test_gradients_equal_the_reference(reference, policy, transitions):
    found = policy_gradients(policy, transitions.of("a"))[:5]
    np.testing.assert_allclose(found.numpy(), reference["gradients_task0"], rtol=0, atol=1e-14)


def test_solutions_of_all_subsets_equal_the_reference(reference, estimate):
    # fits stop at a relative gradient norm of 1e-8
    np.testing.assert_allclose(estimate.fits_.coefficients.numpy(), reference["solutions"], rtol=0, atol=1e-7)


def test_affinity_and_counts_equal_the_reference(reference, estimate):
    np.testing.assert_allclose(estimate.affinity_.matrix, reference["affinity"], rtol=0, atol=1e-9)
    np.testing.assert_array_equal(estimate.affinity_.counts, reference["counts"])


def test_first_order_errors_equal_the_reference(reference, policy, transitions):
    direction = torch.from_numpy(reference["direction"])
    found = linearisation_error(policy, transitions, [0.001, 0.01, 0.1], direction=direction)
    # at 0.1 % the error is a difference of numbers that agree to 1e-7
    np.testing.assert_allclose(found, reference["linear_error"], rtol=1e-5)


def test_curvature_equals_the_reference(reference, policy, transitions):
    part = transitions.of("a")
    operator = policy_hessian(policy, part)
    assert float(torch.trace(operator.dense())) == pytest.approx(float(reference["ppo_hessian_trace_task0"]), rel=1e-9)
    assert float(eigsh(operator, k=1).values[0]) == pytest.approx(float(reference["ppo_hessian_top_task0"]), rel=1e-4)
    surrogate = hessian_trace(policy, part, "surrogate")
    assert surrogate.value == pytest.approx(float(reference["surrogate_hessian_trace_task0"]), rel=1e-9)


def test_hutchinson_covers_the_exact_trace(reference, policy, transitions):
    found = hessian_trace(policy, transitions.of("a"), products=400)
    assert abs(found.value - float(reference["ppo_hessian_trace_task0"])) < 4 * found.stderr


@pytest.mark.parametrize("k", [2, 3, 4])
def test_the_relaxation_and_its_rounding_equal_the_reference(reference, estimate, k):
    groups = estimate.partition(k=k)
    assert groups.relaxation.value == pytest.approx(float(reference[f"sdp_value_k{k}"]), abs=1e-6)
    np.testing.assert_array_equal(groups.labels, reference[f"labels_k{k}"])
    assert groups.matched


def test_losses_in_place_of_scores_turn_the_groups_round(reference):
    planted = reference["families"]
    right = np.equal.outer(planted, planted).astype(float)
    assert (partition(right, k=3).labels == planted).all()
    assert not (partition(-right, k=3).labels == planted).all()


def test_the_first_newton_step_is_close_to_the_exact_solutions(reference, policy, transitions, estimate):
    first = PolicyGradEx(projection=estimate.projection_, ridge=float(reference["ridge"]), exact=False)
    first.fit_transitions(policy, transitions, subsets=estimate.fits_.subsets)
    cosine = torch.cosine_similarity(first.fits_.coefficients, estimate.fits_.coefficients)
    assert float(cosine.mean()) > 0.9995 and float(cosine.min()) > 0.99
