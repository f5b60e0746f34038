"""Benchmark C: gradients of single log-probabilities by vmap, beside a loop of backward passes; growth in p and N."""

import numpy as np
import torch

from reprise.core.ratios import compare, seconds, write
from reprise.multi_objective_rl import Critic, Policy, Sampler, cartpole, policy_gradients
from reprise.tasks import RandomProjection, parameter_count


def policy_of(width):
    """A policy for CartPole and transitions that it took."""
    env = cartpole("plain").make()
    policy = Policy(env.observation_space, env.action_space, (width, width))
    return policy, Sampler([cartpole("plain")]).sample(policy, Critic(4), 512)[0]


def loop(policy, transitions):
    """One backward pass for each transition."""
    rows, parameters = [], list(policy.parameters())
    for observation, action in zip(transitions.observations, transitions.actions):
        value = policy.log_prob_of(policy(observation), action)
        rows.append(torch.cat([part.flatten() for part in torch.autograd.grad(value, parameters)]))
    return torch.stack(rows)


def slope(sizes, times):
    """Exponent of the time's growth."""
    return float(np.polyfit(np.log(sizes), np.log(times), 1)[0])


if __name__ == "__main__":
    torch.set_num_threads(1)
    policy, transitions = policy_of(67)
    count = parameter_count(policy)
    torch.testing.assert_close(policy_gradients(policy, transitions), loop(policy, transitions), rtol=1e-4, atol=1e-6)
    projection = RandomProjection(count, 400, kind="gaussian")
    results = [
        compare(
            f"4,096 gradients of {count:,} entries, against a loop of backward passes",
            lambda: policy_gradients(policy, transitions),
            lambda: loop(policy, transitions),
            goal=10,
        ),
        compare(
            "the same projected to 400, against the loop and one product",
            lambda: policy_gradients(policy, transitions, projection=projection),
            lambda: loop(policy, transitions) @ projection.block(0, count),
            goal=10,
        ),
    ]
    parts = [transitions.select(torch.arange(size)) for size in (512, 1024, 2048, 4096)]
    times = [min(seconds(lambda part=part: policy_gradients(policy, part)) for _ in range(5)) for part in parts]
    policies = [policy_of(width) for width in (64, 128, 256)]
    sizes = [parameter_count(each) for each, _ in policies]
    rows = torch.arange(1024)
    growth = [
        min(seconds(lambda each=each, part=part: policy_gradients(each, part.select(rows))) for _ in range(5))
        for each, part in policies
    ]
    print(f"growth: N^{slope([len(part) for part in parts], times):.2f}, p^{slope(sizes, growth):.2f}")
    results.append(
        {"work": "growth of the time", "in_N": slope([len(p) for p in parts], times), "in_p": slope(sizes, growth)}
    )
    write(__file__, results, libraries=("torch", "numpy"))
