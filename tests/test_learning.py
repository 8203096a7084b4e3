"""Learners that nobody here wrote train on the environments unpatched."""

import gymnasium
import pytest

import vlbench  # noqa: F401
from vlbench.wrappers import DiscreteActions


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_stable_baselines3_ppo_learns_on_discrete_number_line():
    from stable_baselines3 import PPO
    from stable_baselines3.common.evaluation import evaluate_policy

    env = DiscreteActions(gymnasium.make("vlbench/NumberLine-v0", max_position=2))
    model = PPO("CnnPolicy", env, n_steps=256, batch_size=64, seed=0, device="cpu")
    before, _ = evaluate_policy(model, env, n_eval_episodes=40, warn=False)
    model.learn(2560)
    after, _ = evaluate_policy(model, env, n_eval_episodes=40, warn=False)
    assert after > before
    assert after > 0.9  # the best return is 1
