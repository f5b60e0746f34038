"""The learner beside stable-baselines3: transitions per second with many tasks, and returns at equal steps."""

import gymnasium
import numpy as np
import torch
from scipy import stats
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv

from reprise.core.ratios import compare, write
from reprise.multi_objective_rl import PPOConfig, Task, cartpole, cartpole_families, evaluate, train

STEPS, SEEDS = 20_480, range(8)
HALF_CHEETAH = Task("HalfCheetah-v5", lambda: gymnasium.make("HalfCheetah-v5"))


def theirs(make, seed, **options):
    """PPO of stable-baselines3 with tanh networks of two layers of 64."""
    chosen = {"learning_rate": 3e-4, "n_steps": 2048, "batch_size": 64, "n_epochs": 10, "ent_coef": 0.0, **options}
    network = {"net_arch": {"pi": [64, 64], "vf": [64, 64]}, "activation_fn": torch.nn.Tanh}
    return PPO("MlpPolicy", make, seed=seed, policy_kwargs=network, device="cpu", **chosen)


def their_return(model, make, episodes=20):
    """Mean return of the most probable actions."""
    env, totals = make(), []
    for episode in range(episodes):
        observation, _ = env.reset(seed=episode)
        total, over = 0.0, False
        while not over:
            observation, reward, terminated, truncated, _ = env.step(model.predict(observation, deterministic=True)[0])
            total, over = total + float(reward), terminated or truncated
        totals.append(total)
    return float(np.mean(totals))


def returns(task):
    """Returns at equal steps with the constants of stable-baselines3 for both, and the interval of their difference."""
    # one environment, minibatches of 64, ten epochs, no entropy bonus
    equal = PPOConfig(copies=1, batch_size=64, epochs=10, entropy=0.0, step_size=3e-4)
    ours, peers = [], []
    for seed in SEEDS:
        trained = train([task], steps=STEPS, config=equal, generator=seed)
        ours.append(evaluate(trained.policy, [task], 20).mean)
        peers.append(their_return(theirs(DummyVecEnv([task.make]), seed).learn(STEPS), task.make))
    low, high = stats.ttest_ind(ours, peers, equal_var=False).confidence_interval()
    for name, values in (("ours", ours), ("stable-baselines3", peers)):
        print(f"{task.name} at {STEPS:,} steps, {name}: {np.mean(values):.0f} ± {np.std(values, ddof=1):.0f}")
    print(f"difference {np.mean(ours) - np.mean(peers):.0f} [{low:.0f}, {high:.0f}]")
    return {
        "work": f"return on {task.name} after {STEPS:,} steps, against stable-baselines3 with the same constants",
        "ours": ours,
        "peer": peers,
        "difference": float(np.mean(ours) - np.mean(peers)),
        "interval": [float(low), float(high)],
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    tasks, _ = cartpole_families(generator=0)
    config = PPOConfig(step_size=1e-3)
    same = {"n_steps": 256, "batch_size": 2048, "n_epochs": 4, "learning_rate": 1e-3, "ent_coef": 0.005}
    models = [theirs(DummyVecEnv([task.make] * 8), 0, **same) for task in tasks]

    def separately():
        """One iteration of ten runs."""
        for model in models:
            model.learn(2048, reset_num_timesteps=False)

    results = [
        compare(
            "20,480 transitions of ten CartPoles with four epochs, one policy, against ten runs of stable-baselines3",
            lambda: train(tasks, steps=20480, config=config),
            separately,
            repeats=5,
            goal=3,
            transitions=20480,
        )
    ]
    results += [returns(cartpole("CartPole-v1")), returns(HALF_CHEETAH)]
    write(__file__, results, libraries=("torch", "gymnasium", "stable-baselines3"))
