"""What the study trains on ALFWorld: one type of tasks, in a model of its own."""

from dataclasses import replace

from agents.train.gains.lessons import Exercises, Lesson, Transcripts
from agents.train.gains.plan import Exam, Task
from agents.train.reproduce.study import Values

RULES: Values = {"group": "pick_and_place_simple", "engine": "rules"}
_LESSON: Values = {"eval_every": 200, "save_every": 400, "holdout": 0.01}


def _lists(count: int) -> Exercises:
    return Exercises(count, "ALFWorld", {"commands": 16})


def _turns(count: int, episodes: int, seed: int) -> Transcripts:
    """Return turns of games; one in four is off the expert's path."""
    options: Values = {
        "env": "ALFWorld",
        "env_kwargs": RULES,
        "random_action_prob": 0.25,
        "episodes": episodes,
        "keep_fraction": 0.5,
        "seed": seed,
    }
    return Transcripts(count, options)


ROOMS = Task(
    env="ALFWorld",
    rules=RULES,
    tiny={
        "env": "ALFWorld",
        "vocab_size": 1024,
        "image_size": 96,
        "patch_size": 16,
        "width": 96,
        "vision_layers": 2,
        "text_layers": 3,
    },
    lessons=(
        Lesson(
            "lists",
            (_lists(32_000),),
            {**_LESSON, "batch": 32, "micro_batch": 32, "steps": 1_000, "lr": 2e-3},
        ),
        Lesson(
            "rooms",
            (_turns(20_000, 5_000, 20), _lists(2_500)),
            {**_LESSON, "batch": 16, "micro_batch": 8, "steps": 1_200, "lr": 2e-3},
        ),
    ),
    ppo={
        "baseline": "state",
        "group": 8,
        "gamma": 1.0,
        "num_envs": 32,
        "num_steps": 8,
        "iterations": 16,
        "thought_weight": 0.2,
        "kl_coef": 0.05,
        "lr": 1e-4,
        "end_lr": 2e-5,
        "micro_batch": 16,
        "eval_every": 4,
        "save_every": 16,
        "rollouts_every": 0,
    },
    sft_lr=5e-4,
    val_episodes=48,
    exam=Exam("seeds", {"group": "pick_and_place_simple"}, 120),
)
"""The simplest type. Everything is read from the text too; what is hard is to name what a room has,
not what rooms usually have. So lists of commands drawn at random are to be copied first."""

ALFWORLD = replace(
    ROOMS,
    tiny={},
    base="ALFWorld-rooms",
    lessons=(
        Lesson(
            "more-rooms",
            (_turns(40_000, 10_000, 21), _lists(2_500)),
            {**_LESSON, "batch": 16, "micro_batch": 8, "steps": 2_400, "lr": 1.5e-3},
        ),
    ),
    exam=replace(ROOMS.exam, sampled=True),
)
"""Goes on from the start of ROOMS, which reads rooms, and goes where it stands already. The
examination samples, as rollouts do: an unknown command changes neither text nor picture, so that
greedy play repeats it to the end."""
