"""What the study trains, task by task. A result line names the hash of its task's plan."""

from agents.train.gains.plan import Plan, Task
from agents.train.reproduce.study import Stage, Values

_JITTER: Values = {"jitter": 3}
_SFT: Values = {"batch": 32, "micro_batch": 32, "eval_every": 0}

NUMBER_LINE = Task(
    env="NumberLine",
    rules={"max_position": 20},
    tiny={"env": "NumberLine", "vocab_size": 1024, "width": 72, "patch_size": 12},
    stages=(
        Stage(
            {
                **_JITTER,
                "perception_only": True,
                "random_action_prob": 0.5,
                "episodes": 3000,
                "keep_fraction": 0.4,
            },
            {**_SFT, "steps": 3000, "lr": 3e-3},
        ),
        Stage(
            {
                **_JITTER,
                "action_noise": 0.4,
                "random_action_prob": 0.3,
                "episodes": 1500,
                "keep_fraction": 0.4,
            },
            {**_SFT, "steps": 500, "lr": 1.5e-3},
        ),
    ),
    ppo={
        "jitter": 3,
        "num_envs": 64,
        "num_steps": 8,
        "iterations": 16,
        "thought_weight": 0.2,
        "kl_coef": 0.05,
        "lr": 1e-4,
        "end_lr": 2e-5,
        "eval_every": 4,
        "save_every": 16,
        "rollouts_every": 0,
    },
    sft_lr=5e-4,
)
"""Levels up to 20: the policy acts on numbers that it must read."""

PLAN = Plan({"NumberLine": NUMBER_LINE})
