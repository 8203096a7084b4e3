"""What the study trains on NumberLine, and what all tasks read of its pictures."""

from dataclasses import replace

from agents.train.gains.lessons import START_SHARE, Exercises, Lesson, Transcripts
from agents.train.gains.plan import Exam, Task
from agents.train.reproduce.study import Values

LEVELS = "max_position=5,10,20,50"
"""Levels in training."""

JITTER: Values = {"jitter": 3}
LESSON: Values = {
    "batch": 32,
    "micro_batch": 32,
    "eval_every": 100,
    "save_every": 500,
    "holdout": 0.01,
}
"""Options of a lesson's `sft`. Pictures stay in the lesson of turns: in 400 steps of 16 turns
alone, the model forgot to read under a prompt, and 5 % of the pairs were right."""

NUMBERS = Transcripts(
    14_000,
    {
        "env": "NumberLine",
        "seed": 3,
        "perception_only": True,
        **JITTER,
        "mix": LEVELS,
        "random_action_prob": 0.5,
        "episodes": 6_000,
        "keep_fraction": 0.2,
    },
)
"""Numbers to read."""
MORE_NUMBERS = replace(
    NUMBERS, count=40_000, options={**NUMBERS.options, "episodes": 12_000, "keep_fraction": 0.3}
)
"""What two numbers of two digits take: after NUMBERS alone, hardly any pair was right."""


def _turns(seed: int, action_noise: float) -> Transcripts:
    """Return turns of a teacher who reads rightly, and acts wrongly with a probability."""
    options: Values = {
        "env": "NumberLine",
        "mix": LEVELS,
        **JITTER,
        "seed": seed,
        "action_noise": action_noise,
        "random_action_prob": 0.5,
        "episodes": 12_000,
        "keep_fraction": 0.4,
    }
    return Transcripts(40_000, options)


COINS = Task(
    env="NumberLine",
    mix=LEVELS,
    lessons=(
        Lesson("numbers", (MORE_NUMBERS,), {**LESSON, "steps": 1_500, "lr": 2e-3}),
        Lesson("turns", (_turns(0, 0.5), NUMBERS), {**LESSON, "steps": 2_000, "lr": 1.5e-3}),
        Lesson("better-turns", (_turns(5, 0.4), NUMBERS), {**LESSON, "steps": 600, "lr": 1e-3}),
    ),
    # Credit for the actions alone: they are what is wrong. A turn's reward says if it was right.
    ppo={
        "jitter": 3,
        "num_envs": 64,
        "num_steps": 8,
        "iterations": 18,
        "epochs": 3,
        "thought_weight": 0.0,
        "gamma": 0.5,
        "gae_lambda": 0.0,
        "clip": 0.3,
        "kl_coef": 0.5,
        "lr": 3e-4,
        "end_lr": 5e-5,
        "eval_every": 3,
        "save_every": 18,
        "rollouts_every": 0,
    },
    sft_lr=5e-4,
    exam=Exam("ladder-20"),
)
"""Levels from 5 to 50. The start's teacher reads rightly and acts by coin flips, then rightly in
three turns of five. What came of it: the start compares, and acts by the target instead."""

SIGNS = Exercises(14_000, "NumberLine", {"largest": 400, "share": START_SHARE})
"""In text, an action follows from a comparison. Up to 400, there are too many pairs to learn them
by heart: from those up to 50, a model learned pairs."""

NUMBER_LINE = replace(
    COINS,
    base="NumberLine-coins",
    lessons=(
        Lesson(
            "signs",
            (
                SIGNS,
                replace(_turns(8, 0.5), count=14_000),
                replace(NUMBERS, count=3_000),
            ),
            {**LESSON, "steps": 450, "lr": 1e-3},
        ),
    ),
    mix="max_position=20,50",
    ppo={
        **COINS.ppo,
        "iterations": 10,
        "kl_coef": 0.4,
        "lr": 2e-4,
        "eval_every": 5,
        "save_every": 10,
    },
    val_episodes=48,
    exam=Exam("ladder-20", sampled=True),
)
"""The start of COINS learns in text which sign a comparison calls for, and goes on to flip coins
when there is a picture. PPO can join the two. It plays long lines alone: short ones have few pairs,
which are soon known by heart. The examination samples, as rollouts do: greedy play that turns back
at a pair goes to and fro between two pictures to the episode's end."""
