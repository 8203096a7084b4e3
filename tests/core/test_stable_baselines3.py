"""A third-party learner trains on the environments without patches."""

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box
from gymnasium.wrappers import TransformObservation

import vlbench  # noqa: F401
from vlbench.wrappers import DiscreteActions


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_stable_baselines3_ppo_learns_on_discrete_number_line():
    from stable_baselines3 import PPO
    from stable_baselines3.common.evaluation import evaluate_policy

    env = DiscreteActions(gymnasium.make("vlbench/NumberLine-v0", max_position=2))
    quarter = Box(0, 255, (75, 75, 3), np.uint8)  # so that a CPU's patience is enough
    env = TransformObservation(env, lambda image: image[::4, ::4], quarter)
    model = PPO("CnnPolicy", env, n_steps=256, batch_size=64, n_epochs=4, seed=0, device="cpu")
    before, _ = evaluate_policy(model, env, n_eval_episodes=40, warn=False)
    model.learn(3072)
    after, _ = evaluate_policy(model, env, n_eval_episodes=40, warn=False)
    assert after > before
    assert after > 0.9  # the best return is 1
