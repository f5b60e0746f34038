"""Real environments, stepped without a display; each skips with its reason where its extra is absent."""

import importlib.util
import sys

import numpy as np
import pytest

from reprise.multi_objective_rl import (
    GroupedPolicies,
    Policy,
    PolicyGradEx,
    PPOConfig,
    PreferenceAtlas,
    Sampler,
    Task,
    cartpole,
    evaluate,
    expected_utility,
    given_groups,
    highway_tasks,
    hypervolume,
    lunar_lander_tasks,
    metaworld_mt10,
    preferences,
    simplex_weights,
    tasks_from_env,
    train,
)
from reprise.multi_objective_rl.policy import Critic
from reprise.multi_objective_rl.tasks import check_tasks
from reprise.multi_objective_rl.vector_rewards import WeightedReward


def needs(module):
    """Skip without a module, and without loading it where warnings are errors: SWIG's types don't survive that."""
    if importlib.util.find_spec(module.split(".")[0]) is None:
        pytest.skip(f"{module} is absent")


QUICK = PPOConfig(transitions=16, copies=2, hidden=(8,))


def test_lunar_landers_train_and_differ_in_gravity():
    needs("Box2D")
    tasks = lunar_lander_tasks(2, generator=1)
    trained = train(tasks, steps=64, config=QUICK)
    assert len(trained.history) == 2
    gravities = [task.make().unwrapped.gravity for task in tasks]
    assert gravities[0] != gravities[1] and all(-12 <= gravity <= -4 for gravity in gravities)


@pytest.mark.parametrize("name", ["HalfCheetah-v5", "Hopper-v5", "Reacher-v5"])
def test_mujoco_takes_clipped_actions(name):
    needs("mujoco")
    tasks = tasks_from_env(name, {"one": {}, "frames": {"frame_skip": 2}})
    policy = train(tasks, steps=64, config=QUICK).policy
    found = evaluate(policy, tasks, 1, limit=5)
    assert np.isfinite(found.returns).all() and found.lengths.max() <= 5


def test_mt10_shares_one_policy_and_tells_success():
    needs("metaworld")
    tasks = metaworld_mt10()
    assert len(tasks) == 10
    spaces = check_tasks(tasks[:2])
    assert (spaces.observation_space.shape, spaces.action_space.shape) == ((39,), (4,))
    policy = Policy(spaces.observation_space, spaces.action_space, (8,))
    found = evaluate(policy, tasks[:2], 1, limit=3)
    assert found.success.shape == (2, 1) and np.isfinite(found.success).all()


def test_highway_observations_are_flattened():
    needs("highway_env")
    tasks = highway_tasks(2, generator=0)
    spaces = check_tasks(tasks)
    policy = Policy(spaces.observation_space, spaces.action_space, (8,))
    sampler = Sampler(tasks, copies=1)
    transitions, _ = sampler.sample(policy, Critic(policy.inputs_size, (8,)), 3)
    sampler.close()
    assert transitions.observations.shape == (6, policy.observation_size)
    assert tasks[0].make().unwrapped.config["vehicles_count"] == tasks[0].settings["vehicles_count"]


@pytest.mark.parametrize(
    ("name", "entries"),
    [("deep-sea-treasure-v0", 2), ("mo-lunar-lander-v3", 4), ("mo-halfcheetah-v5", 2), ("minecart-v0", 3)],
)
def test_vector_rewards_are_weighted_and_told(name, entries):
    needs("mo_gymnasium")
    weights = simplex_weights(entries, entries)
    tasks = preferences(name, weights)
    spaces = check_tasks(tasks)
    found = evaluate(Policy(spaces.observation_space, spaces.action_space, (8,)), tasks, 2, limit=20)
    assert found.vectors.shape == (entries, 2, entries)
    weighted = np.einsum("ner,nr->ne", found.vectors, weights)
    np.testing.assert_allclose(weighted, found.returns, rtol=1e-5, atol=1e-4)


@pytest.mark.filterwarnings("ignore:.*precision lowered by casting:UserWarning")
def test_a_vector_reward_needs_weights_that_fit():
    needs("mo_gymnasium")
    bare = Task("bare", preferences("deep-sea-treasure-v0", [[1, 0]])[0].make().env.unwrapped.__class__)
    with pytest.raises(ValueError, match="'bare' has a vector reward of 2 entries: give its weights"):
        check_tasks([bare])
    with pytest.raises(ValueError, match=r"weights must have shape \(n, 2\), one for each entry of the reward, got"):
        preferences("deep-sea-treasure-v0", [[1, 0, 0]])
    with pytest.raises(ValueError, match="weights must differ"):
        preferences("deep-sea-treasure-v0", [[1, 0], [1, 0]])
    with pytest.raises(ValueError, match="weights must be finite"):
        preferences("deep-sea-treasure-v0", [[1, float("nan")]])
    with pytest.raises(ValueError, match=r"weights must have shape \(n, 1\)"):
        preferences(cartpole("scalar").make, [[1.0, 2.0]])
    env = WeightedReward(preferences("deep-sea-treasure-v0", [[1, 0]])[0].make().env, np.array([2.0, 0.5]))
    env.reset(seed=0)
    _, reward, _, _, info = env.step(0)
    assert reward == pytest.approx(float(info["vector_reward"] @ [2.0, 0.5]))


def test_an_atlas_routes_every_weighting_to_its_best_policy():
    needs("mo_gymnasium")
    needs("pymoo")
    tasks = preferences("deep-sea-treasure-v0", simplex_weights(4, 2, generator=1))
    meta = train(tasks, steps=256, config=QUICK)
    groups = PolicyGradEx(dim=10, size=2, transitions=32).fit(meta).partition(k=2)
    team = GroupedPolicies.train(groups, meta, steps_per_task=32)
    atlas = PreferenceAtlas.chart(team, episodes=2)
    weights, regions = atlas.map(50)
    best = np.array([[row @ value for value in atlas.returns] for row in weights])
    assert (best[np.arange(50), regions] == best.max(axis=1)).all()
    assert atlas.expected_utility(weights) == pytest.approx(best.max(axis=1).mean())
    assert atlas.policy(weights[0]) is atlas.policies[regions[0]]
    assert atlas.hypervolume(atlas.returns.min(axis=0) - 1) >= 1
    with pytest.raises(ValueError, match=r"weights must have shape \(m, 2\)"):
        atlas.route([[1, 0, 0]])
    plain = [cartpole("a"), cartpole("b")]
    meta = train(plain, steps=32, config=QUICK)
    team = GroupedPolicies.train(given_groups(["a", "b"], [0, 1]), meta, steps_per_task=16)
    with pytest.raises(ValueError, match="infos lack vector_reward"):
        PreferenceAtlas.chart(team, episodes=1)


def test_hypervolume_and_utility_are_those_of_hand_computation():
    needs("pymoo")
    points = [[1.0, 3.0], [2.0, 2.0], [0.5, 0.5]]
    assert hypervolume(points, [0, 0]) == pytest.approx(1 * 3 + 1 * 2)
    assert expected_utility(points, [[1, 0], [0, 1], [0.5, 0.5]]) == pytest.approx((2 + 3 + 2) / 3)
    with pytest.raises(ValueError, match=r"reference must have shape \(2,\), got \(1,\)"):
        hypervolume(points, [0])


@pytest.mark.parametrize(
    ("module", "make", "extra"),
    [
        ("Box2D", lambda: lunar_lander_tasks(1)[0].make(), "box2d"),
        ("highway_env", lambda: highway_tasks(1)[0].make(), "highway"),
        ("metaworld", lambda: metaworld_mt10()[0].make(), "metaworld"),
        ("mo_gymnasium", lambda: preferences("mo-hopper-v5", [[1, 0, 0]]), "vector-rewards"),
        ("pymoo.indicators.hv", lambda: hypervolume([[1.0]], [0.0]), "vector-rewards"),
    ],
)
def test_a_missing_extra_is_named(module, make, extra, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ModuleNotFoundError, match=extra):
        make()
