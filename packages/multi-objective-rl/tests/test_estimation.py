"""Estimates, groups, baselines, curvature, stability: what holds beyond the reference."""

import numpy as np
import pytest
import torch
from sklearn.metrics import normalized_mutual_info_score

from reprise.hvp import trace
from reprise.multi_objective_rl import (
    PolicyGradEx,
    cartpole,
    cosine_affinity,
    evaluate,
    fine_tuned_outcomes,
    generalization_bound,
    given_groups,
    gradient_similarity_groups,
    hessian_trace,
    linearisation_error,
    normalised_mutual_information,
    policy_gradients,
    policy_hessian,
    random_groups,
    stability_report,
    surrogate_features,
)
from reprise.multi_objective_rl.surrogate import moved
from reprise.tasks import given_subsets, logistic_statistics


@pytest.fixture(scope="module")
def estimate(small_meta):
    return PolicyGradEx(dim=60, size=2, transitions=1024, generator=1).fit(small_meta)


def test_gradients_are_those_of_a_loop_of_backward_passes(small_meta, estimate):
    part = estimate.transitions_.select(torch.arange(0, 4096, 500))
    found, policy = policy_gradients(small_meta.policy, part), small_meta.policy.copy()
    for row, observation, action in zip(found, part.observations, part.actions):
        policy.zero_grad()
        policy.log_prob(observation, action).backward()
        expected = torch.cat([value.grad.flatten() for value in policy.parameters()])
        torch.testing.assert_close(row, expected, rtol=1e-4, atol=1e-6)


def test_on_policy_gradients_have_mean_zero(small_meta, estimate):
    gradients = policy_gradients(small_meta.policy, estimate.transitions_).double()
    spread = gradients.std(0) / len(gradients) ** 0.5
    scores = gradients.mean(0).abs() / spread.clamp_min(1e-12)
    # transitions follow one another but actions are drawn anew: scores are standard normal
    assert float(scores.square().mean()) < 2 and float(scores.max()) < 6


def test_the_gradient_of_the_deviation_of_continuous_actions_is_there(target):
    from reprise.multi_objective_rl import Critic, Policy, Sampler

    env = target.make()
    policy = Policy(env.observation_space, env.action_space, (4,))
    transitions, _ = Sampler([target], copies=2).sample(policy, Critic(3), 4)
    names = [name for name, value in policy.named_parameters() for _ in range(value.numel())]
    found = policy_gradients(policy, transitions)
    at = [index for index, name in enumerate(names) if name == "log_std"]
    mean = policy(transitions.observations).chunk(2, dim=-1)[0]
    torch.testing.assert_close(found[:, at], (transitions.actions - mean).square() - 1)


def test_planted_tasks_are_found_and_the_affinity_is_of_scores(estimate):
    assert estimate.partition(k=2).labels.tolist() == [0, 0, 1, 1]
    assert estimate.affinity_.matrix.max() < 0  # minus losses
    inside, across = estimate.affinity_.matrix[0, 1], estimate.affinity_.matrix[0, 2]
    assert inside > across
    assert estimate.partition(ridge=0.5).k in (1, 2, 3, 4)


def test_the_estimate_of_one_subset_is_that_of_the_affinity(estimate):
    names = list(estimate.features_)
    found = estimate.estimate(names[:2])
    row = list(estimate.affinity_.subsets).index(tuple(names[:2]))
    expected = estimate.affinity_.outcomes[row]
    assert [found[name] for name in names[:2]] == pytest.approx(expected[:2], abs=1e-9)
    assert set(found) == set(names) and found[names[0]] > found[names[3]]


def test_adapting_to_tasks_helps_them_and_hurts_their_opposites(small_meta, estimate):
    names, tasks = list(estimate.features_), list(small_meta.tasks)
    here = evaluate(small_meta.policy, tasks, 16, deterministic=False).returns.mean(1)
    found = evaluate(estimate.adapted_policy(names[2:]), tasks, 16, deterministic=False).returns.mean(1)
    assert found[2:].mean() > here[2:].mean() and found[:2].mean() < here[:2].mean()


def test_scores_by_return_rank_subsets_as_they_play(small_meta):
    found = PolicyGradEx(dim=40, size=2, transitions=512, score="return", episodes=2, generator=0).fit(small_meta)
    assert found.affinity_.matrix.min() >= 8  # returns of CartPole, not losses
    with pytest.raises(ValueError, match="use fit"):
        found.fit_transitions(small_meta.policy, found.transitions_)


def test_advantages_of_zero_are_dropped_and_the_mean_stays_one_over_all():
    gradients, advantages = torch.eye(4), torch.tensor([1.0, 0.0, -2.0, 0.0])
    found = surrogate_features(gradients, advantages)
    assert found.labels.tolist() == [1, -1] and found.weights.tolist() == [0.5, 1.0]
    with pytest.raises(ValueError, match="advantages must not all be 0"):
        surrogate_features(gradients, torch.zeros(4))


def test_the_first_order_error_falls_with_the_fourth_power_of_the_distance(small_meta, estimate):
    errors = estimate.linearisation_error([0.01, 0.02, 0.04])
    slopes = np.diff(np.log(errors)) / np.log(2)
    assert np.abs(slopes - 4).max() < 0.3
    with pytest.raises(ValueError, match="direction must be finite, not zero"):
        linearisation_error(small_meta.policy, estimate.transitions_, [0.1], direction=torch.zeros(3))
    along = estimate.linearisation_error([0.01], subset=list(estimate.features_)[:2])
    assert 0 < along[0] < 1e-3
    relative = linearisation_error(small_meta.policy, estimate.transitions_, [0.01, 0.02], measure="relative")
    assert np.diff(np.log(relative))[0] / np.log(2) == pytest.approx(2, abs=0.3)


@pytest.mark.parametrize("exact", [True, False])
def test_a_further_task_changes_no_subset_that_was_solved(small_meta, exact):
    estimate = PolicyGradEx(dim=40, size=3, transitions=512, exact=exact, generator=1).fit(small_meta)
    before = estimate.affinity_.matrix.copy()
    more = estimate.extend(cartpole("newcomer", force_mag=-9))
    assert np.array_equal(estimate.affinity_.matrix, before) and len(estimate.features_) == 4
    old = len(estimate.affinity_.subsets)
    assert np.array_equal(more.affinity_.outcomes[:old, :4], estimate.affinity_.outcomes)
    assert more.affinity_.coverage == 1 and more.affinity_.subsets.members[old:, 4].all()
    assert more.partition(k=2).labels[4] == more.partition(k=2).labels[2]
    if not exact:
        whole = logistic_statistics(more.features_)
        torch.testing.assert_close(more._statistics.hessians, whole.hessians)
    with pytest.raises(ValueError, match="different names"):
        more.extend(cartpole("newcomer"))


def test_estimates_are_a_function_of_their_seed(small_meta):
    matrices = [PolicyGradEx(dim=30, size=2, transitions=256, generator=s).fit(small_meta) for s in (1, 1, 2)]
    assert np.array_equal(matrices[0].affinity_.matrix, matrices[1].affinity_.matrix)
    assert not np.array_equal(matrices[0].affinity_.matrix, matrices[2].affinity_.matrix)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"dim": 0}, ValueError, "dim must be at least 1, got 0"),
        ({"dim": True}, TypeError, "dim must be a whole number, got True"),
        ({"size": 1}, ValueError, "size must be at least 2, got 1"),
        ({"ridge": 0}, ValueError, "ridge must be finite, above 0, got 0"),
        ({"score": "reward"}, ValueError, "score must be one of 'loss', 'return', got 'reward'"),
        ({"target": "all"}, ValueError, "target must be one of"),
    ],
)
def test_bad_options_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        PolicyGradEx(**options)


def test_bad_fits_are_refused(small_meta, estimate):
    with pytest.raises(TypeError, match="meta must be what train returns, got Policy"):
        PolicyGradEx().fit(small_meta.policy)
    with pytest.raises(ValueError, match="size must be at most the number of tasks, 4, got 5"):
        PolicyGradEx(size=5).fit(small_meta)
    with pytest.raises(ValueError, match="tasks must be at least 2, got 1"):
        PolicyGradEx().fit(small_meta, small_meta.tasks[:1])
    with pytest.raises(ValueError, match="fit must be called first"):
        PolicyGradEx().estimate(["a"])
    with pytest.raises(ValueError, match="unknown tasks"):
        estimate.estimate(["nobody"])


def test_cosines_find_the_planted_tasks_and_random_groups_have_equal_sizes(estimate):
    assert gradient_similarity_groups(estimate, 2).labels.tolist() == [0, 0, 1, 1]
    sizes = [len(group) for group in random_groups(list("abcdefghij"), 3, generator=2).groups]
    assert sorted(sizes) == [3, 3, 4]
    with pytest.raises(ValueError, match="k must be at most the number of tasks, 2, got 3"):
        random_groups(["a", "b"], 3)
    with pytest.raises(ValueError, match="gradients must not be zero, got zero in row 1"):
        cosine_affinity([[1.0, 0.0], [0.0, 0.0]])
    with pytest.raises(ValueError, match=r"labels must have shape \(2,\)"):
        given_groups(["a", "b"], [0])


def test_fine_tuning_every_subset_gives_returns_of_its_members(small_meta):
    subsets = given_subsets([task.name for task in small_meta.tasks], [("forward", "forward too"), ("backward",)])
    found = fine_tuned_outcomes(small_meta, subsets, steps_per_task=1024, episodes=2)
    assert np.isfinite(found[0, :2]).all() and np.isfinite(found[1, 2]) and np.isnan(found[0, 2])
    again = fine_tuned_outcomes(small_meta, subsets, steps_per_task=1024, episodes=2)
    assert np.array_equal(found, again, equal_nan=True)


def test_mutual_information_is_scikit_learns_with_the_geometric_mean():
    generator = np.random.default_rng(0)
    for _ in range(20):
        a, b = generator.integers(0, 3, (2, 12))
        expected = normalized_mutual_info_score(a, b, average_method="geometric")
        assert normalised_mutual_information(a, b) == pytest.approx(expected, abs=1e-9)
    assert normalised_mutual_information([0, 0, 0], [0, 1, 2]) == 0.0
    with pytest.raises(ValueError, match="labellings must have one shape"):
        normalised_mutual_information([0, 1], [0])


def test_the_trace_of_the_policy_loss_is_that_of_its_dense_hessian(small_meta, estimate):
    part = estimate.transitions_.of("forward").standardised().select(torch.arange(200))
    exact = float(torch.trace(policy_hessian(small_meta.policy, part).dense()))
    found = hessian_trace(small_meta.policy, part, products=300)
    assert abs(found.value - exact) < 4 * found.stderr
    assert trace(policy_hessian(small_meta.policy, part), products=300).value == pytest.approx(exact, rel=0.5)
    with pytest.raises(ValueError, match="change is for the surrogate"):
        hessian_trace(small_meta.policy, part, change=torch.zeros(3))
    with pytest.raises(ValueError, match="loss must be one of"):
        hessian_trace(small_meta.policy, part, "value")


def test_the_surrogates_trace_is_that_of_its_hessian_anywhere(small_meta, estimate):
    part = estimate.transitions_.of("backward").standardised().select(torch.arange(100))
    gradients = policy_gradients(small_meta.policy, part)
    change = 0.05 * torch.randn(gradients.shape[1], generator=torch.Generator().manual_seed(0))

    def loss(delta):
        margins = part.advantages.sign() * (gradients @ delta)
        return (part.advantages.abs() * torch.nn.functional.softplus(-margins)).mean()

    exact = float(torch.trace(torch.autograd.functional.hessian(loss, change)))
    found = hessian_trace(small_meta.policy, part, "surrogate", change=change)
    assert found.value == pytest.approx(exact, rel=1e-4) and found.stderr == 0


def test_the_bound_has_its_shape_and_refuses_nonsense():
    assert generalization_bound(4, 2, 400, 1) == pytest.approx(0.2)
    assert generalization_bound(-1, 2, 400, 1) == 0
    with pytest.raises(ValueError, match="radius must be finite, at least 0, got -1"):
        generalization_bound(1, -1, 400, 1)
    with pytest.raises(TypeError, match="count must be a number, got '4'"):
        generalization_bound(1, 1, "4", 1)


def test_moving_a_policy_adds_the_vector_and_leaves_it_alone(small_meta):
    size = sum(value.numel() for value in small_meta.policy.parameters())
    before = torch.nn.utils.parameters_to_vector(small_meta.policy.parameters()).clone()
    after = torch.nn.utils.parameters_to_vector(moved(small_meta.policy, torch.ones(size)).parameters())
    torch.testing.assert_close(after, before + 1)
    assert torch.equal(torch.nn.utils.parameters_to_vector(small_meta.policy.parameters()), before)


@pytest.mark.parametrize("over", ["both", "subsets", "transitions"])
def test_the_bootstrap_is_sure_of_planted_groups(estimate, over):
    found = stability_report(estimate, ks=(2, 3), samples=6, over=over, generator=np.random.default_rng(0))
    assert found.suggested_k == 2 and found.co_clustering[2][0, 1] > 0.5 > found.co_clustering[2][0, 2]


def test_the_bootstrap_refuses_what_it_cannot_reweight(small_meta, estimate):
    with pytest.raises(ValueError, match="over must be one of"):
        stability_report(estimate, over="seeds")
    with pytest.raises(ValueError, match='score="loss"'):
        stability_report(PolicyGradEx(score="return"))
