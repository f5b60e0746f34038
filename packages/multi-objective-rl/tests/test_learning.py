"""Policies and their learner."""

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn

from reprise.multi_objective_rl import (
    GroupedPolicies,
    Policy,
    PolicyStack,
    PPOConfig,
    cartpole,
    evaluate,
    given_groups,
    maml_adapt,
    maml_train,
    paco,
    soft_modularization,
    train,
)
from reprise.multi_objective_rl.maml import _gain, _through_inner_step
from reprise.multi_objective_rl.ppo import clipped_gain
from reprise.multi_objective_rl.sampling import Sampler

BOX = spaces.Box(-1, 1, (3,), np.float32)


@pytest.mark.parametrize("actions", [spaces.Discrete(4), spaces.Box(-2, 2, (2,), np.float32)])
def test_log_probabilities_and_entropy_are_those_of_torch(actions):
    policy = Policy(BOX, actions, generator=1)
    observations = torch.randn(20, 3)
    taken = policy.sample_of(policy(observations), torch.Generator().manual_seed(0))
    distribution = policy.distribution(observations)
    torch.testing.assert_close(policy.log_prob(observations, taken), distribution.log_prob(taken))
    torch.testing.assert_close(policy.entropy_of(policy(observations)), distribution.entropy())


def test_draws_follow_the_probabilities():
    policy = Policy(BOX, spaces.Discrete(3), generator=1)
    with torch.no_grad():
        policy.network[-1].bias.copy_(torch.tensor([1.0, 0.0, -1.0]))
    taken = policy.act(np.zeros((20_000, 3)), generator=0)
    share = np.bincount(taken) / 20_000
    expected = policy.distribution(np.zeros(3)).probs.detach().numpy()
    assert np.abs(share - expected).max() < 4 * 0.5 / 20_000**0.5


def test_an_environment_gets_clipped_actions_and_counts_from_the_start():
    wide = Policy(BOX, spaces.Box(-0.01, 0.01, (2,), np.float32))
    taken = wide.act(np.zeros((50, 3)), generator=0)
    assert np.abs(taken).max() <= np.float32(0.01) and taken.dtype == np.float32
    shifted = Policy(BOX, spaces.Discrete(2, start=5))
    assert set(shifted.act(np.zeros((50, 3)), generator=0).tolist()) == {5, 6}


def test_observations_of_any_kind_of_array_give_the_same_log_probability():
    policy = Policy(BOX, spaces.Discrete(2))
    plain = np.linspace(-1, 1, 12).reshape(4, 3)
    expected = policy.log_prob(plain, [0, 1, 0, 1])
    readonly = plain.copy()
    readonly.flags.writeable = False
    for other in (plain.tolist(), readonly, plain.astype(">f8"), plain[::-1][::-1], torch.from_numpy(plain)):
        assert torch.equal(policy.log_prob(other, np.array([0, 1, 0, 1], dtype=np.uint8)), expected)
    with pytest.raises(ValueError, match=r"observations must have shape \(..., 3\), got \(4, 2\)"):
        policy.log_prob(plain[:, :2], [0] * 4)
    with pytest.raises(TypeError, match="observations must be an array of numbers, got str"):
        policy.act("left")
    with pytest.raises(TypeError, match="observation_space must be a gymnasium Box"):
        Policy(spaces.Discrete(3), spaces.Discrete(2))


def test_the_clipped_objective_has_no_gradient_beyond_the_clip():
    log_ratio = torch.tensor([0.5, -0.5, 0.5, -0.5], requires_grad=True)
    clipped_gain(log_ratio, torch.tensor([1.0, 1.0, -1.0, -1.0]), 0.2).backward()
    assert (log_ratio.grad != 0).tolist() == [False, True, True, False]


def test_training_is_a_function_of_its_seed_and_leaves_its_start_alone(small_meta):
    before = {name: value.clone() for name, value in small_meta.policy.state_dict().items()}
    runs = [train(small_meta.tasks, steps=2048, policy=small_meta, generator=seed) for seed in (5, 5, 6)]
    weights = [torch.cat([value.flatten() for value in run.policy.parameters()]) for run in runs]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    assert all(torch.equal(value, before[name]) for name, value in small_meta.policy.state_dict().items())
    assert [row["steps"] for row in runs[0].history] == [2048]


def test_global_random_states_are_left_alone(small_meta):
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    states = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    train(small_meta.tasks[:2], steps=1024, config=PPOConfig(transitions=256))
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (np.random.get_state()[1] == states[1]).all()  # noqa: NPY002


def test_cartpole_is_learned():
    task = cartpole("plain")
    config = PPOConfig(step_size=1e-3)
    trained = train([task], steps=40_000, config=config, generator=0)
    assert evaluate(trained.policy, [task], 8).mean > 200  # a random policy: 22


def test_continuous_actions_are_learned(target):
    config = PPOConfig(transitions=512, batch_size=256, step_size=1e-2, hidden=(16,), normalise=True)
    trained = train([target], steps=20_000, config=config, generator=0)
    assert evaluate(trained.policy, [target], 32).mean > -0.05  # at first: -0.98
    assert not torch.equal(trained.policy.spread, torch.ones(3))
    again = train([target], steps=512, policy=trained)
    assert torch.equal(again.policy.spread, trained.policy.spread)  # frozen from then on


@pytest.mark.parametrize("make", [lambda tasks: soft_modularization(tasks, width=16), paco])
def test_contextual_policies_learn_opposite_tasks(make):
    """What no policy without the task could do: both answers to one observation."""
    tasks = [cartpole("forward"), cartpole("backward", force_mag=-10)]
    config = PPOConfig(transitions=1024, batch_size=256, step_size=2e-3)
    trained = train(tasks, steps=15 * 2048, policy=make(tasks), config=config, generator=0)
    assert evaluate(trained.policy, tasks, 8).returns.mean(axis=1).min() > 100
    subset = train(tasks[1:], steps=1024, policy=trained)  # keeps its place in the one-hot vector
    assert subset.policy.tasks == ("forward", "backward")
    with pytest.raises(ValueError, match="tasks must be those of the policy"):
        evaluate(trained.policy, [cartpole("other")], 1)


def test_paco_is_the_network_of_the_combined_parameters():
    policy = paco([cartpole("a"), cartpole("b")], hidden=(8,), generator=2)
    network = policy.network
    inputs = torch.cat((torch.randn(5, 4), torch.tensor([[0.0, 1.0]]).expand(5, 2)), dim=1)
    values = inputs[:, :4]
    for index, (weights, biases) in enumerate(zip(network.weights, network.biases)):
        values = values @ torch.einsum("k,koi->oi", network.mixture[1], weights).T + network.mixture[1] @ biases
        values = values.tanh() if index == 0 else values
    torch.testing.assert_close(network(inputs), values)


def test_soft_modules_with_one_module_are_a_plain_network():
    policy = soft_modularization([cartpole("a"), cartpole("b")], modules=1, width=8, depth=2)
    network, inputs = policy.network, torch.randn(3, 6)
    values = network.base(inputs[:, :4]).relu()
    for layer in range(2):
        values = (values @ network.weights[layer, 0].T + network.biases[layer, 0]).relu()
    torch.testing.assert_close(network(inputs), network.head(values))


def test_a_stack_acts_as_its_policies_do_one_by_one():
    tasks = [cartpole("a"), cartpole("b", gravity=14)]
    env = tasks[0].make()
    policies = [Policy(env.observation_space, env.action_space, generator=seed) for seed in (1, 2)]
    together = evaluate(PolicyStack(policies), tasks, 4, generator=0)
    observations = torch.randn(8, 4)
    expected = torch.cat([policies[0](observations[:4]), policies[1](observations[4:])])
    torch.testing.assert_close(PolicyStack(policies)(observations), expected)
    assert together.returns.shape == (2, 4)
    with pytest.raises(ValueError, match="policies must be of one form"):
        PolicyStack([policies[0], Policy(env.observation_space, env.action_space, (8,))])


def test_adapting_takes_the_gradient_step_of_each_task(small_meta):
    tasks = list(small_meta.tasks[:2])
    adapted = maml_adapt(small_meta, tasks, steps=1, step_size=0.1, transitions=64, generator=4)
    sampler = Sampler(tasks, copies=8, generator=4)
    stack = PolicyStack([small_meta.policy] * 2)
    batch, _ = sampler.sample(stack, small_meta.critic, 8)
    batch = batch.standardised()
    for policy, task in zip(adapted, tasks):
        own, part = small_meta.policy.copy(), batch.of(task.name)
        (own.log_prob(part.observations, part.actions) * part.advantages).mean().backward()
        for mine, theirs in zip(own.parameters(), policy.parameters()):
            torch.testing.assert_close(mine + 0.1 * mine.grad, theirs, rtol=1e-4, atol=1e-6)


def test_the_second_order_gradient_differentiates_through_the_inner_step(small_meta):
    policy = small_meta.policy.copy().double()
    sampler = Sampler(list(small_meta.tasks[:1]), copies=2, generator=0)
    before, _ = sampler.sample(small_meta.policy, small_meta.critic, 16)
    after, _ = sampler.sample(small_meta.policy, small_meta.critic, 16)
    before, after = (_double(part).standardised() for part in (before, after))
    start = {name: value.detach().requires_grad_() for name, value in policy.named_parameters()}
    inner = torch.autograd.grad(_gain(policy, start, before), list(start.values()), create_graph=True)
    moved = {name: value + 0.1 * step for (name, value), step in zip(start.items(), inner)}
    outer = torch.autograd.grad(_gain(policy, moved, after), list(moved.values()), retain_graph=True)
    expected = torch.autograd.grad(_gain(policy, moved, after), list(start.values()))
    found = _through_inner_step(policy, before, {k: v[None] for k, v in zip(start, outer)}, 0.1)
    for name, value in zip(start, expected):
        torch.testing.assert_close(found[name][0], value, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("order", [1, 2])
def test_meta_training_moves_policy_and_critic_and_not_its_start(small_meta, order):
    before = nn.utils.parameters_to_vector(small_meta.policy.parameters()).clone()
    found = maml_train(small_meta, iterations=2, order=order, transitions=64)
    assert not torch.equal(nn.utils.parameters_to_vector(found.policy.parameters()), before)
    assert torch.equal(nn.utils.parameters_to_vector(small_meta.policy.parameters()), before)
    assert not torch.equal(found.critic.network[0].weight, small_meta.critic.network[0].weight)
    assert [row["steps"] for row in found.history] == [512, 1024]


def _double(transitions):
    from dataclasses import replace

    names = ("observations", "log_probs", "advantages", "returns")
    return replace(transitions, **{name: getattr(transitions, name).double() for name in names})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"transitions": 100, "copies": 8}, "transitions must be a multiple of copies, 8, got 100"),
        ({"discount": 1.5}, "discount must be finite, at least 0 and at most 1, got 1.5"),
        ({"clip": 0}, "clip must be finite, above 0, got 0"),
        ({"step_size": float("nan")}, "step_size must be finite"),
    ],
)
def test_constants_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        PPOConfig(**options)


def test_wrong_starts_are_refused(small_meta, target):
    with pytest.raises(TypeError, match="policy must be a Policy or a Trained, got str"):
        train(small_meta.tasks, steps=10, policy="meta")
    with pytest.raises(TypeError, match="steps must be a whole number, got True"):
        train(small_meta.tasks, steps=True)
    with pytest.raises(ValueError, match="policy must have the tasks' observation space"):
        train([target], steps=10, policy=small_meta)
    with pytest.raises(ValueError, match="transitions must be a multiple of copies, 8, got 9"):
        maml_adapt(small_meta, list(small_meta.tasks), transitions=9)
    with pytest.raises(TypeError, match=r"policy must be a Policy, such as trained\.policy, got Trained"):
        evaluate(small_meta, small_meta.tasks)
    with pytest.raises(TypeError, match="policy must be what train returns, got Policy"):
        maml_adapt(small_meta.policy, list(small_meta.tasks))
    with pytest.raises(TypeError, match="got list and Trained"):
        GroupedPolicies.train([[0], [1]], small_meta)
    with pytest.raises(ValueError, match="order must be 1 or 2, got 3"):
        maml_train(small_meta, order=3)


def test_groups_train_their_own_tasks_and_route_and_survive_the_disk(small_meta, tmp_path):
    names = [task.name for task in small_meta.tasks]
    groups = given_groups(names, [0, 0, 1, 1])
    team = GroupedPolicies.train(groups, small_meta, steps_per_task=4096, generator=1)
    assert [[task.name for task in member.tasks] for member in team.members] == [names[:2], names[2:]]
    found = team.evaluate(episodes=4)
    assert found.names == tuple(names) and found.mean > evaluate(small_meta.policy, small_meta.tasks, 4).mean
    unseen = [cartpole("new", force_mag=8), cartpole("new too", force_mag=-8)]
    assert team.route_tasks(unseen, episodes=4).tolist() == [0, 1]
    assert team.route(unseen[1], episodes=4) == 1
    env = unseen[1].make()
    assert team.route(env, episodes=4) == 1
    env.reset()  # still open
    assert team.classifier(trajectories=16, generator=0).predict(unseen).tolist() == [0, 1]
    assert team.route(unseen[0], "critic", episodes=8) in (0, 1)
    team.save(tmp_path / "team")
    loaded = GroupedPolicies.load(tmp_path / "team", small_meta)
    with pytest.raises(ValueError, match=r"but .* are absent"):
        GroupedPolicies.load(tmp_path / "team", small_meta, small_meta.tasks[:2])
    assert np.array_equal(loaded.evaluate(episodes=2).returns, team.evaluate(episodes=2).returns)
    with pytest.raises(ValueError, match="method must be one of"):
        team.route(unseen[0], "oracle")
    with pytest.raises(ValueError, match="use route for new ones"):
        team.evaluate(unseen)
    with pytest.raises(TypeError, match="env must be a Task or a gymnasium environment, got int"):
        team.route(3)


def test_an_environment_registered_with_gymnasium_has_the_spaces_of_its_batch():
    env = gymnasium.make("CartPole-v1")
    batch = cartpole("plain").batch([cartpole("plain").settings])
    assert (batch.single_observation_space, batch.single_action_space) == (env.observation_space, env.action_space)
