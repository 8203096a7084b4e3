"""What the study trains on EZPoints and Blackjack, and what all tasks read of cards."""

from dataclasses import replace

from agents.train.gains.lessons import Lesson, Transcripts
from agents.train.gains.levels import JITTER, LESSON
from agents.train.gains.plan import Task
from agents.train.reproduce.study import Values

VALUES = "faces=10,11,12,13,14,15,16,17,18,19,20"
"""Values of a jack in training, all that the sets have."""
ANY_TARGET: Values = {"target": "any"}


def _cards(count: int, env: str, seed: int, **options: object) -> Transcripts:
    return Transcripts(
        count, {"env": env, "seed": seed, "perception_only": True, **JITTER, **options}
    )


PAIRS = _cards(
    6_000,
    "EZPoints",
    1,
    env_kwargs={**ANY_TARGET, "operators": "+-*/"},
    random_action_prob=0.3,
    episodes=8_000,
    keep_fraction=0.4,
)
"""Two cards. Few hands are dealt in training: from these alone a model learns hands, not cards."""
DEALS = _cards(8_000, "Blackjack", 2, random_action_prob=0.4, episodes=12_000, keep_fraction=0.6)
"""Two cards and more, in every combination."""
HANDS = _cards(14_000, "Points24", 0, random_action_prob=0.3, episodes=16_000, keep_fraction=0.25)
"""Four cards."""

RETURNS: Values = {
    "jitter": 3,
    "baseline": "state",
    "group": 8,
    "gamma": 1.0,
    "num_envs": 64,
    "thought_weight": 0.2,
    "kl_coef": 0.05,
    "lr": 1e-4,
    "end_lr": 2e-5,
    "eval_every": 4,
    "rollouts_every": 0,
}
"""Whole episodes, compared with later returns in equal states."""

EZ_POINTS = Task(
    env="EZPoints",
    rules=ANY_TARGET,
    mix=VALUES,
    lessons=(
        Lesson(
            "turns",
            (
                Transcripts(
                    12_000,
                    {
                        "env": "EZPoints",
                        "env_kwargs": ANY_TARGET,
                        "mix": VALUES,
                        **JITTER,
                        "random_action_prob": 0.15,
                        "episodes": 8_000,
                        "keep_fraction": 0.4,
                    },
                ),
                DEALS,
                replace(HANDS, count=8_000),
            ),
            {**LESSON, "steps": 1_500, "lr": 1.5e-3},
        ),
    ),
    ppo={**RETURNS, "num_steps": 4, "iterations": 24, "save_every": 24},
    sft_lr=5e-4,
)
"""Hands with each target that they reach, under every value of a jack. Other deals stay in the
lesson: from turns of few hands alone, the model named hands that it knew, not the cards shown."""

BLACKJACK = Task(
    env="Blackjack",
    lessons=(
        Lesson(
            "turns",
            (
                Transcripts(
                    14_000,
                    {
                        "env": "Blackjack",
                        **JITTER,
                        "random_action_prob": 0.3,
                        "episodes": 14_000,
                        "keep_fraction": 0.7,
                    },
                ),
                DEALS,
            ),
            {**LESSON, "steps": 1_200, "lr": 1.5e-3},
        ),
    ),
    ppo={**RETURNS, "num_steps": 2, "iterations": 24, "save_every": 24, "max_new_tokens": 96},
    sft_lr=5e-4,
)
"""The usual rules; what a shoe gives is mostly luck, so regret decides."""
