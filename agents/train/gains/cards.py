"""What the study trains on EZPoints and Blackjack, and what all tasks read of cards."""

from dataclasses import replace

from agents.train.gains.lessons import START_SHARE, Exercises, Lesson, Transcripts
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

OPERATORS = "+-*/"


def _formulas(count: int, **options: object) -> Exercises:
    own: Values = {"operators": OPERATORS, "largest": 24, "share": START_SHARE, **options}
    return Exercises(count, "EZPoints", own)


def behind_prompt(cards: Transcripts, count: int) -> Transcripts:
    """Return cards to read behind the prompts of their task."""
    return Transcripts(count, {**cards.options, "with_prompt": True})


def _ez_turns(operators: str, seed: int) -> Transcripts:
    options: Values = {
        "env": "EZPoints",
        "env_kwargs": {**ANY_TARGET, "operators": operators},
        "mix": VALUES,
        **JITTER,
        "random_action_prob": 0.15,
        "episodes": 8_000,
        "keep_fraction": 0.4,
        "seed": seed,
    }
    return Transcripts(10_000, options)


def _behind_prompts(count: int) -> tuple[Transcripts, ...]:
    return tuple(behind_prompt(part, count) for part in (PAIRS, DEALS, HANDS))


EZ_POINTS = Task(
    env="EZPoints",
    base="cards",
    rules=ANY_TARGET,
    mix=VALUES,
    lessons=(
        Lesson(
            "faces",
            (_formulas(24_000, faces=40), behind_prompt(PAIRS, 4_000)),
            {**LESSON, "steps": 700, "lr": 2e-3},
        ),
        Lesson(
            "more-faces",
            (replace(_formulas(40_000, faces=40), seed=31), behind_prompt(PAIRS, 1_600)),
            {**LESSON, "micro_batch": 8, "steps": 1_200, "lr": 2e-3},
        ),
        Lesson(
            "turns",
            (
                _ez_turns("+*", 6),
                _ez_turns(OPERATORS, 7),
                _formulas(12_000, faces=40),
                behind_prompt(PAIRS, 14_000),
                *_behind_prompts(3_000)[1:],
            ),
            {**LESSON, "steps": 1_000, "lr": 1.2e-3},
        ),
    ),
    ppo={
        **RETURNS,
        "num_steps": 4,
        "iterations": 16,
        "save_every": 16,
        "thought_weight": 0.5,
        "kl_coef": 0.2,
        "clip": 0.3,
        "epochs": 3,
        "target_kl": 0.3,
        "lr": 2e-4,
        "end_lr": 5e-5,
    },
    sft_lr=5e-4,
)
"""Hands with each target that they reach, under every value of a jack. One half of the training
instances has few hands, most with one target: from turns alone, the model learned which formula
goes with a hand. Without exercises on faces, it guessed what a face counts."""

CARDS = replace(
    EZ_POINTS,
    base="",
    text_first=True,
    ppo={**RETURNS, "num_steps": 4, "iterations": 24, "save_every": 24},  # of no use to a base
    lessons=(
        Lesson(
            "formulas",
            (_formulas(30_000), replace(HANDS, count=6_000)),
            {**LESSON, "steps": 1_000, "lr": 2e-3},
        ),
        Lesson(
            "behind-prompts",
            (*_behind_prompts(8_000), _formulas(6_000)),
            {**LESSON, "steps": 800, "lr": 1.5e-3},
        ),
    ),
)
"""What the starts of EZPoints, Points24 and Blackjack continue. Formulas are learned in text, with
other numbers than cards have and all four operators. Then cards are read behind each task's prompt:
the reader has no prompts, and doesn't read behind one. In turns alone, a model learns to tell a
hand's second card from the first one and the target. With the picture before the text, 1,900 steps
behind prompts read hardly more than half of the cards."""


def _hands(count: int, hits: float, keep: float, seed: int | None = None) -> Transcripts:
    """Return turns of Blackjack; the more random actions, the longer the hands."""
    options: Values = {
        "env": "Blackjack",
        **JITTER,
        "random_action_prob": hits,
        "episodes": 14_000,
        "keep_fraction": keep,
    }
    return Transcripts(count, options if seed is None else {**options, "seed": seed})


BLACKJACK = Task(
    env="Blackjack",
    base="cards",
    lessons=(
        Lesson(
            "turns",
            (_hands(14_000, 0.3, 0.7), behind_prompt(DEALS, 6_000)),
            {**LESSON, "steps": 800, "lr": 1e-3},
        ),
        Lesson(
            "longer-hands",
            (_hands(20_000, 0.6, 0.9, 5), behind_prompt(DEALS, 3_000)),
            {**LESSON, "steps": 900, "lr": 1.2e-3},
        ),
        Lesson(
            "all-hands",
            (
                _hands(12_000, 0.3, 0.7, 6),
                _hands(22_000, 0.6, 0.9, 7),
                behind_prompt(DEALS, 4_000),
            ),
            {**LESSON, "steps": 1_200, "lr": 1.5e-3},
        ),
    ),
    ppo={
        **RETURNS,
        "num_steps": 2,
        "iterations": 12,
        "save_every": 12,
        "kl_coef": 0.4,
        "max_new_tokens": 96,
    },
    sft_lr=5e-4,
)
"""The usual rules; what a shoe gives is mostly luck, so regret decides. After its first lesson the
start played first turns nearly as the expert does, and couldn't read hands of three cards and more.
With a KL penalty of 0.05, a pilot of PPO lost reading within eight iterations."""
