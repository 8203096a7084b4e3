"""The plan of the study of sizes: models from small to large, on lines from short to long.

A size's start reads numbers on every line, knows in text which sign a comparison calls for, and
flips coins where there is a picture; PPO then plays one line. A size is a plan of its own, and each
line one of its tasks.
"""

from dataclasses import replace

from agents.train.gains.lessons import Lesson, Transcripts
from agents.train.gains.levels import JITTER, LESSON, LEVELS, NUMBER_LINE, NUMBERS, SIGNS
from agents.train.gains.plan import Exam, Plan, Task
from agents.train.reproduce.study import Values

LINES = (5, 10, 20, 50)
"""Right ends of the lines: the rungs of difficulty."""

_SIZES: dict[str, Values] = {
    "0.3M": {"width": 48, "vision_layers": 3, "text_layers": 3},
    "1M": {"width": 96, "vision_layers": 3, "text_layers": 3},
    "3M": {"width": 160, "vision_layers": 4, "text_layers": 4, "init_std": 0.06},
    "10M": {"width": 288, "vision_layers": 4, "text_layers": 4, "init_std": 0.04},
    "smollm2-135M": {"width": 96, "vision_layers": 3, "text_backbone": "smollm2"},
}
_RATES = {"0.3M": 2e-3, "1M": 2e-3, "3M": 1e-3, "10M": 5e-4, "smollm2-135M": 3e-4}
"""Learning rate of each size's lessons."""

_NUMBERS = replace(NUMBERS, count=26_000, options={**NUMBERS.options, "keep_fraction": 0.4})
_TURNS = Transcripts(
    26_000,
    {
        "env": "NumberLine",
        "mix": LEVELS,
        **JITTER,
        "action_noise": 0.5,
        "random_action_prob": 0.5,
        "episodes": 8_000,
        "keep_fraction": 0.4,
    },
)


def _line(last: int) -> Task:
    """Return PPO on the line from 0 to `last`."""
    return Task(
        env="NumberLine",
        rules={"max_position": last},
        lessons=(),
        ppo={**NUMBER_LINE.ppo, "iterations": 6, "eval_every": 3, "save_every": 6},
        sft_lr=5e-4,
        val_episodes=48,
        exam=Exam("seeds", {"max_position": last}, 96, sampled=True),
    )


def _plan(name: str) -> Plan:
    options: Values = {**LESSON, "lr": _RATES[name]}
    picture: Values = {"image_size": 96, "patch_size": 12}
    own: Values = {} if name.startswith("smollm2") else {"env": "NumberLine"}
    return Plan(
        tiny={**own, **picture, **_SIZES[name]},
        reading=(
            Lesson("numbers", (_NUMBERS,), {**options, "steps": 800}),
            Lesson(
                "turns",
                (_TURNS, replace(NUMBERS, count=6_000), SIGNS),
                {**options, "steps": 1_200},
            ),
        ),
        tasks={f"line-{last}": _line(last) for last in LINES},
        seeds=3,
    )


SIZES = {name: _plan(name) for name in _SIZES}
"""Size, in parameters → its plan."""
