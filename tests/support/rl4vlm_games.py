"""Games of RL4VLM's environments, from an instance on."""

import gymnasium

import vlbench


def make(task, **kwargs):
    return gymnasium.make(f"rl4vlm/{task}-v0", **kwargs)


def play(env, instance, actions):
    """Return the rewards, the end and the last info of a game that starts at an instance."""
    env.reset(seed=0, options={"instance": instance})
    rewards, over = [], ""
    for action in actions:
        assert not over, f"over before {action}"
        _, reward, terminated, truncated, info = env.step(vlbench.reply(action))
        rewards.append(reward)
        over = "terminated" if terminated else "truncated" if truncated else ""
    return rewards, over, info
