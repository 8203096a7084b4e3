"""What the study trains, task by task. A result line names the hash of its task's plan."""

from agents.train.gains.lessons import Lesson, Transcripts
from agents.train.gains.levels import BATCH, JITTER, NUMBER_LINE, NUMBERS
from agents.train.gains.plan import Plan


def _reading(count: int, env: str, **options: object) -> Transcripts:
    return Transcripts(count, {"env": env, "perception_only": True, **JITTER, **options})


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
        NUMBERS,
    ),
    {**BATCH, "steps": 12_000, "lr": 2e-3, "holdout": 0.02},
)
"""Cards and numbers, in all pictures at once: few hands of EZPoints are dealt in training, and a
model that sees them alone learns the hands, not the cards."""

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
    tasks={task.env: task for task in (NUMBER_LINE,)},
)
