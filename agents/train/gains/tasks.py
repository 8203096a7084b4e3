"""What the study trains, task by task. A result line names the hash of its task's plan."""

from agents.train.gains.cards import BLACKJACK, CARDS, DEALS, EZ_POINTS, HANDS, PAIRS
from agents.train.gains.lessons import Lesson
from agents.train.gains.levels import COINS, NUMBER_LINE, NUMBERS
from agents.train.gains.plan import Plan
from agents.train.gains.points24 import POINTS24
from agents.train.gains.rooms import ALFWORLD, ROOMS
from agents.train.reproduce.study import Values

_OPTIONS: Values = {
    "batch": 32,
    "micro_batch": 32,
    "eval_every": 100,
    "save_every": 300,
    "holdout": 0.02,
}
READING = (
    Lesson("pairs", (PAIRS,), {**_OPTIONS, "steps": 600, "lr": 2e-3, "save_every": 1000}),
    Lesson("deals", (PAIRS, DEALS), {**_OPTIONS, "steps": 900, "lr": 1.5e-3}),
    Lesson("hands", (HANDS, PAIRS, DEALS), {**_OPTIONS, "steps": 1_500, "lr": 1.5e-3}),
    Lesson("all", (HANDS, PAIRS, DEALS, NUMBERS), {**_OPTIONS, "steps": 1_500, "lr": 1.5e-3}),
)
"""From two cards to all pictures. From all pictures at once, a model read nothing after 3,000 steps
of 16."""

PLAN = Plan(
    tiny={
        "vocab_size": 2048,
        "image_size": 150,
        "patch_size": 15,
        "width": 112,
        "vision_layers": 3,
        "text_layers": 3,
    },
    reading=READING,
    tasks={
        "NumberLine-coins": COINS,
        "cards": CARDS,
        "ALFWorld-rooms": ROOMS,
        **{task.env: task for task in (NUMBER_LINE, EZ_POINTS, POINTS24, BLACKJACK, ALFWORLD)},
    },
)
