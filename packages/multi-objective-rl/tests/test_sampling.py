"""Environments, transitions, advantages: truncation bootstraps, termination does not, a reset is never seen as s'."""

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from reprise.multi_objective_rl import (
    Policy,
    Sampler,
    Task,
    cartpole,
    cartpole_families,
    cartpole_tasks,
    evaluate,
    generalised_advantages,
    tasks_from_env,
    train,
    vector_env,
)
from reprise.multi_objective_rl.tasks import check_tasks


class Tenfold(nn.Module):
    """A critic that says ten times the count."""

    def forward(self, observations):
        return 10 * observations[..., 0]


def counting_policy():
    return Policy(spaces.Box(-1e6, 1e6, (1,), np.float32), spaces.Discrete(2))


def one_step_advantages(task, steps=6):
    sampler = Sampler([task], copies=1)
    transitions, episodes = sampler.sample(counting_policy(), Tenfold(), steps, discount=0.5, decay=0.0)
    return transitions, episodes


def test_truncated_episodes_bootstrap_from_their_own_last_observation(counter):
    transitions, episodes = one_step_advantages(counter(limit=3))
    assert transitions.observations.flatten().tolist() == [0, 1, 2, 0, 1, 2]
    # r + 0.5 · 10 (n + 1) - 10 n, at the truncated step as well
    assert transitions.advantages.tolist() == [6, 1, -4, 6, 1, -4]
    assert [(episode.total, episode.length) for episode in episodes] == [(3.0, 3), (3.0, 3)]


def test_terminated_episodes_do_not_bootstrap(counter):
    transitions, _ = one_step_advantages(counter(terminal=3))
    assert transitions.advantages.tolist() == [6, 1, 1 - 20, 6, 1, 1 - 20]


def test_an_episode_that_ends_both_ways_counts_as_terminated(counter):
    transitions, _ = one_step_advantages(counter(terminal=3, limit=3), steps=3)
    assert transitions.advantages.tolist()[-1] == 1 - 20


def test_episodes_go_on_from_one_call_to_the_next(counter):
    sampler = Sampler([counter(limit=5)], copies=2)
    first, _ = sampler.sample(counting_policy(), Tenfold(), 3)
    second, episodes = sampler.sample(counting_policy(), Tenfold(), 3)
    assert first.observations.flatten().tolist() == [0, 1, 2] * 2
    assert second.observations.flatten().tolist() == [3, 4, 0] * 2
    assert [episode.length for episode in episodes] == [5, 5]


@settings(deadline=None)
@given(seed=st.integers(0, 2**31), steps=st.integers(1, 12))
def test_advantages_are_discounted_sums_of_errors_within_an_episode(seed, steps):
    generator = np.random.default_rng(seed)
    rewards, values, following = generator.standard_normal((3, steps, 2))
    terminated = generator.random((steps, 2)) < 0.2
    done = terminated | (generator.random((steps, 2)) < 0.2)
    found = generalised_advantages(rewards, values, following, terminated, done, discount=0.9, decay=0.8)
    deltas = rewards + 0.9 * following * ~terminated - values
    for column in range(2):
        for start in range(steps):
            expected = 0.0
            for later in range(start, steps):
                expected += 0.72 ** (later - start) * deltas[later, column]
                if done[later, column]:
                    break
            assert found[start, column] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("physics", [{}, {"force_mag": -7.0, "gravity": 12.0, "length": 0.9, "masspole": 0.3}])
def test_batched_cartpoles_step_as_gymnasiums(physics):
    task = cartpole("one", **physics)
    single, batch = task.make().unwrapped, vector_env([task], 1)
    batch.reset(seed=4)
    single.reset(seed=0)
    single.state = batch.state[:, 0].copy()
    generator = np.random.default_rng(0)
    for _ in range(300):
        action = int(generator.integers(2))
        expected, reward, terminated, _, _ = single.step(action)
        found, rewards, ended, _, infos = batch.step(np.array([action]))
        last = infos["final_obs"][0] if ended[0] else found[0]
        np.testing.assert_allclose(last, expected, rtol=0, atol=1e-6)
        assert (rewards[0], ended[0]) == (reward, terminated)
        if terminated:
            assert abs(found[0]).max() <= 0.05  # already the next episode
            single.reset(seed=0)
            single.state = batch.state[:, 0].copy()


def test_batched_cartpoles_are_cut_off_after_500_steps():
    env = vector_env([cartpole("heavy", force_mag=1e-9, gravity=1e-9)], 3)
    env.reset(seed=0)
    env.state[:] = 0
    for _ in range(499):
        assert not env.step(np.zeros(3))[3].any()
    _, _, terminated, truncated, infos = env.step(np.zeros(3))
    assert truncated.all() and not terminated.any() and infos["_final_obs"].all()


def test_tasks_without_a_common_batch_are_stepped_by_gymnasium():
    plain = tasks_from_env("CartPole-v1", {"plain": {}})
    env = vector_env([*plain, cartpole("other")], 2)
    assert isinstance(env, gymnasium.vector.SyncVectorEnv) and env.num_envs == 4
    found = evaluate(Policy(env.single_observation_space, env.single_action_space), [*plain, cartpole("other")], 3)
    assert (found.returns == found.lengths).all() and found.returns.shape == (2, 3)


def test_planted_families_are_where_they_should_be():
    tasks, families = cartpole_families(generator=np.random.default_rng(7))
    forces = np.array([task.settings["force_mag"] for task in tasks])
    assert np.abs(forces - np.array([10, -10, 3])[families]).max() <= 1
    assert len({task.name for task in tasks}) == 10
    again, _ = cartpole_families(generator=7)
    assert [task.settings for task in again] == [task.settings for task in tasks]


def test_advantages_are_standardised_per_task_with_the_unbiased_deviation():
    tasks, _ = cartpole_families(sizes=(1, 1), forces=(10.0, 3.0))
    env = tasks[0].make()
    sampler = Sampler(tasks, copies=2, generator=1)
    transitions, _ = sampler.sample(Policy(env.observation_space, env.action_space), Tenfold(), 40)
    found = transitions.standardised()
    for task in tasks:
        part = found.of(task.name).advantages
        assert float(part.mean()) == pytest.approx(0, abs=1e-5) and float(part.std()) == pytest.approx(1, rel=1e-5)
    assert len(transitions.of(tasks[1].name)) == 80


def test_a_reward_that_is_not_finite_is_refused_with_task_and_step(counter):
    task = counter("broken", bad_step=3)
    with pytest.raises(ValueError, match=r"finite, got nan in task 'broken' at step 2"):
        train([task], steps=16)
    with pytest.raises(ValueError, match=r"finite, got nan in task 'broken' at step 2"):
        evaluate(counting_policy(), [task], 1)


def test_an_evaluation_ends_at_its_limit(counter):
    found = evaluate(counting_policy(), [counter()], 2, limit=7)
    assert found.lengths.tolist() == [[7, 7]]


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ([], "at least 1, got 0"),
        ([cartpole("a"), cartpole("a")], "different names, got more than once: a"),
        ([cartpole("a"), Task("b", lambda: gymnasium.make("MountainCar-v0"))], "one observation space: 'a' has .* 'b'"),
        ([Task("lake", lambda: gymnasium.make("FrozenLake-v1"))], "'lake' must have a Box of observations"),
    ],
)
def test_tasks_that_do_not_fit_are_refused(tasks, message):
    with pytest.raises(ValueError, match=message):
        check_tasks(tasks)


def test_wrong_kinds_are_refused():
    with pytest.raises(TypeError, match="tasks must be a list of Task, got Task"):
        check_tasks(cartpole("a"))
    with pytest.raises(TypeError, match=r"must return a gymnasium\.Env, got int"):
        check_tasks([Task("a", lambda: 3)])
    with pytest.raises(TypeError, match="make must be a function"):
        Task("a", 3)
    with pytest.raises(ValueError, match="env_id must be registered"):
        tasks_from_env("NoSuch-v0", {"a": {}})
    with pytest.raises(ValueError, match=r"physics must be among .*, got wind"):
        cartpole("a", wind=3)
    with pytest.raises(ValueError, match="length must be finite, above 0, got -1"):
        cartpole("a", length=-1)
    with pytest.raises(ValueError, match="forces must be one for each of 3 families, got 2"):
        cartpole_families(forces=(1.0, 2.0))
    with pytest.raises(TypeError, match="count must be a whole number, got True"):
        cartpole_tasks(True)


def test_numpy_seeds_give_what_python_seeds_give():
    assert cartpole_tasks(np.int64(2), generator=np.uint8(3))[1].settings == cartpole_tasks(2, generator=3)[1].settings
    assert torch.equal(
        *(Sampler([cartpole("a")], generator=s).sample(*_pair(), 4)[0].actions for s in (3, np.int32(3)))
    )


def _pair():
    env = cartpole("a").make()
    return Policy(env.observation_space, env.action_space), Tenfold()
