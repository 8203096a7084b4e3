"""What the study trains, task by task. A result line names the hash of its task's plan."""

from agents.train.gains.lessons import Lesson, Transcripts
from agents.train.gains.plan import Plan, Task
from agents.train.reproduce.study import Values

LEVELS = "max_position=5,10,20,50"
"""NumberLine's levels in training."""
FACES = "faces=10,11,12,13,14,15,16,17,18,19,20"
"""Values of a jack in training, in EZPoints."""

_JITTER: Values = {"jitter": 3}
_BATCH: Values = {"batch": 16, "micro_batch": 16, "eval_every": 500, "save_every": 500}


def _reading(count: int, env: str, **options: object) -> Transcripts:
    return Transcripts(count, {"env": env, "perception_only": True, **_JITTER, **options})


READING = Lesson(
    "reading",
    (
        _reading(14_000, "Points24", random_action_prob=0.3, episodes=16_000, keep_fraction=0.25),
        _reading(
            6_000,
            "EZPoints",
            env_kwargs={"target": "any", "operators": "+-*/"},
            random_action_prob=0.3,
            episodes=8_000,
            keep_fraction=0.4,
        ),
        _reading(8_000, "Blackjack", random_action_prob=0.4, episodes=12_000, keep_fraction=0.6),
        _reading(
            14_000,
            "NumberLine",
            mix=LEVELS,
            random_action_prob=0.5,
            episodes=6_000,
            keep_fraction=0.2,
        ),
    ),
    {**_BATCH, "steps": 12_000, "lr": 2e-3, "holdout": 0.02},
)
"""Cards and numbers, in all pictures at once: few hands of EZPoints are dealt in training, and a
model that sees them alone learns the hands, not the cards."""

NUMBER_LINE = Task(
    env="NumberLine",
    mix=LEVELS,
    lessons=(
        Lesson(
            "turns",
            (
                Transcripts(
                    12_000,
                    {
                        "env": "NumberLine",
                        "mix": LEVELS,
                        **_JITTER,
                        "random_action_prob": 0.3,
                        "episodes": 4_000,
                        "keep_fraction": 0.4,
                    },
                ),
            ),
            {**_BATCH, "steps": 800, "lr": 1.5e-3},
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
"""Levels from 5 to 50: the policy acts on numbers that it must read."""

PLAN = Plan(
    tiny={
        "vocab_size": 2048,
        "image_size": 150,
        "patch_size": 15,
        "width": 112,
        "vision_layers": 3,
        "text_layers": 3,
    },
    reading=(READING,),
    tasks={"NumberLine": NUMBER_LINE},
)
