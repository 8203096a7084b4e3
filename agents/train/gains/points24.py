"""What the study trains on Points24: the cards are read already, the search is to be learned."""

from agents.train.gains.cards import HANDS, RETURNS, behind_prompt
from agents.train.gains.lessons import START_SHARE, Exercises, Lesson, Transcripts
from agents.train.gains.levels import JITTER, LESSON
from agents.train.gains.plan import Task
from agents.train.reproduce.study import Values

_TEXT: Values = {**LESSON, "micro_batch": 8}
"""Few rows have a picture: in small batches, the others needn't be as long as those."""
_LONG: Values = {**LESSON, "micro_batch": 16}


def _turns(seed: int) -> Transcripts:
    options: Values = {"env": "Points24", "episodes": 9_000, "keep_fraction": 0.25, **JITTER}
    return Transcripts(16_000, {**options, "seed": seed})


def _drills(count: int, seed: int, drills: float, backwards: float) -> Exercises:
    options: Values = {"drills": drills, "backwards": backwards, "share": START_SHARE}
    return Exercises(count, "Points24", options, seed=seed)


POINTS24 = Task(
    env="Points24",
    base="cards",
    lessons=(
        Lesson(
            "problems",
            (_drills(48_000, 10, 0.0, 0.5), behind_prompt(HANDS, 2_500)),
            {**_TEXT, "steps": 1_500, "lr": 2e-3},
        ),
        Lesson(
            "drills",
            (_drills(32_000, 11, 0.6, 0.5), behind_prompt(HANDS, 2_000)),
            {**_TEXT, "steps": 1_100, "lr": 2e-3},
        ),
        Lesson(
            "turns",
            (
                _turns(12),
                _drills(14_000, 12, 0.3, 0.6),
                behind_prompt(HANDS, 8_000),
            ),
            {**_LONG, "steps": 1_600, "lr": 1.5e-3, "thought_weight": 0.1},
        ),
        Lesson(
            "more-turns",
            (
                _turns(13),
                _drills(14_000, 13, 0.2, 0.6),
                behind_prompt(HANDS, 4_000),
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
