"""What the study trains on ALFWorld: one type of tasks, in a model of its own."""

from agents.train.gains.lessons import Lesson, Transcripts
from agents.train.gains.plan import Exam, Task
from agents.train.reproduce.study import Values

RULES: Values = {"group": "pick_and_place_simple", "engine": "rules"}
_LESSON: Values = {"batch": 16, "micro_batch": 8, "eval_every": 200, "save_every": 400}


def _turns(seed: int) -> Transcripts:
    """Return turns of games; one in four is off the expert's path."""
    options: Values = {"env": "ALFWorld", "env_kwargs": RULES, "random_action_prob": 0.25}
    return Transcripts(20_000, {**options, "episodes": 5_000, "keep_fraction": 0.5, "seed": seed})


ALFWORLD = Task(
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
        Lesson("rooms", (_turns(20),), {**_LESSON, "steps": 2_400, "lr": 2e-3, "holdout": 0.02}),
        Lesson("more-rooms", (_turns(21),), {**_LESSON, "steps": 1_600, "lr": 1.5e-3}),
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
not what rooms usually have."""
