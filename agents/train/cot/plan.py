"""The plan of the study of thoughts: arms, learning rates, seeds and contrasts, fixed beforehand.

All arms continue one start, which answers both prompts: with thoughts, and with the action alone.
So the arm without thoughts has learned the same texts, as an auxiliary loss. Pilots choose each
arm's learning rate by `val`, with the same number of runs for every arm.
"""

from dataclasses import dataclass, replace

from agents.train.gains.lessons import Lesson, Transcripts
from agents.train.gains.plan import FIRST_PILOT, Plan
from agents.train.gains.tasks import PLAN
from agents.train.reproduce.study import Values

ARMS: dict[str, Values] = {
    "lambda-0": {"thought_weight": 0.0},
    "lambda-0.2": {"thought_weight": 0.2},
    "lambda-0.5": {"thought_weight": 0.5},
    "lambda-1": {"thought_weight": 1.0},
    "action-only": {"prompt": "action_only", "thought_weight": 1.0},
}
"""Arm → its options of `ppo`. λ is the weight of the tokens before the action in log π."""
REFERENCE = "lambda-0.5"
"""What the other arms are compared with: the paper's choice for the card games."""
RATES = (1e-4, 3e-4)
"""Learning rates that the pilots of every arm try."""
PILOTS = (FIRST_PILOT, FIRST_PILOT + 1)
"""Seeds of the pilots."""
SEEDS = 10
MARGIN = 0.05
"""Success that counts as equivalent: ± 5 points."""


@dataclass(frozen=True)
class Arm:
    """An arm with a learning rate."""

    name: str
    rate: float

    @property
    def labels(self) -> Values:
        """Fields of its result lines."""
        return {"arm": self.name, "rate": self.rate}


@dataclass(frozen=True)
class CotTask:
    """What the study plays of a task."""

    turns: Transcripts
    """The expert's turns, from which the start learns both prompts."""
    steps: int
    """Steps of that lesson."""
    ppo: Values
    """Options of `ppo` that all arms have."""


def _turns(env: str) -> Transcripts:
    """Return the turns of the last lesson of a task's start."""
    data = PLAN.tasks[env].lessons[-1].data
    return next(
        part for part in data if isinstance(part, Transcripts) and part.options["env"] == env
    )


_PPO: Values = {"iterations": 10, "save_every": 10, "eval_every": 2}
TASKS = {
    "EZPoints": CotTask(_turns("EZPoints"), 400, _PPO),
    "Points24": CotTask(_turns("Points24"), 300, _PPO),
}
"""The tasks whose thoughts are long enough to matter."""


def make_plan(env: str, arm: Arm) -> Plan:
    """Return the plan of an arm: the task's start, a lesson of both prompts, and the arm's PPO."""
    task, own = PLAN.tasks[env], TASKS[env]
    last = task.lessons[-1]
    plain = replace(own.turns, options={**own.turns.options, "prompt": "action_only"})
    both = Lesson(
        "both-prompts",
        (own.turns, plain),
        {**last.sft, "steps": own.steps, "lr": last.sft["lr"] / 2},
    )
    rates = {"lr": arm.rate, "end_lr": arm.rate / 5}
    changed = replace(
        task, lessons=(*task.lessons, both), ppo={**task.ppo, **own.ppo, **ARMS[arm.name], **rates}
    )
    return replace(PLAN, tasks={**PLAN.tasks, env: changed}, seeds=SEEDS)
