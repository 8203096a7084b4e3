"""RL4VLM's environments, played from a given instance."""

import gymnasium

import vlbench


def make(task, **kwargs):
    return gymnasium.make(f"rl4vlm/{task}-v0", **kwargs)


def play(env, instance, actions):
    """Play actions from an instance; return the rewards, how it ended, and the last info."""
    env.reset(seed=0, options={"instance": instance})
    rewards, over = [], ""
    for action in actions:
        assert not over, f"over before {action}"
        _, reward, terminated, truncated, info = env.step(vlbench.reply(action))
        rewards.append(reward)
        over = "terminated" if terminated else "truncated" if truncated else ""
    return rewards, over, info
