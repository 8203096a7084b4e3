"""What the study trains on Points24: the cards are read already, the search is to be learned."""

from dataclasses import replace

from agents.train.gains.cards import HANDS, RETURNS
from agents.train.gains.lessons import Exercises, Lesson, Transcripts
from agents.train.gains.levels import JITTER, LESSON
from agents.train.gains.plan import Task
from agents.train.reproduce.study import Values

_LONG: Values = {**LESSON, "micro_batch": 16}


def _turns(seed: int) -> Transcripts:
    options: Values = {"env": "Points24", "episodes": 9_000, "keep_fraction": 0.25, **JITTER}
    return Transcripts(16_000, {**options, "seed": seed})


POINTS24 = Task(
    env="Points24",
    lessons=(
        Lesson(
            "problems",
            (Exercises(48_000, "Points24", {"drills": 0.0}, seed=10), replace(HANDS, count=6_000)),
            {**LESSON, "steps": 1_500, "lr": 2e-3},
        ),
        Lesson(
            "drills",
            (Exercises(30_000, "Points24", {"drills": 0.6}, seed=11), replace(HANDS, count=6_000)),
            {**LESSON, "steps": 1_100, "lr": 2e-3},
        ),
        Lesson(
            "turns",
            (
                _turns(12),
                Exercises(14_000, "Points24", {"drills": 0.3, "backwards": 0.6}, seed=12),
                replace(HANDS, count=8_000),
            ),
            {**_LONG, "steps": 1_600, "lr": 1.5e-3, "thought_weight": 0.1},
        ),
        Lesson(
            "more-turns",
            (
                _turns(13),
                Exercises(14_000, "Points24", {"drills": 0.2, "backwards": 0.6}, seed=13),
                replace(HANDS, count=4_000),
            ),
            {**_LONG, "steps": 1_600, "lr": 1.2e-3, "thought_weight": 0.1},
        ),
    ),
    ppo={
        **RETURNS,
        "num_envs": 32,
        "num_steps": 8,
        "iterations": 40,
        "save_every": 40,
        "max_new_tokens": 256,
        "micro_batch": 16,
    },
    sft_lr=3e-4,
)
"""Four cards make 24. Text problems and drills teach the search; turns join it to the pictures."""
