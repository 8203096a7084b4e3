"""What `agents.train.reproduce` runs: starts, arms and comparisons, by the name of a preset.

All of it is stated before anything is measured; a run whose recipe has changed isn't mixed with
results of the earlier one.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any

from agents.train.ppo_config import PRESETS

Values = dict[str, Any]
"""Values of fields of a command's `Config`; what isn't named has its default."""

SUCCESS_TOLERANCE = 0.05
"""How far the greedy success of a start that shall equal another may lie from it."""


@dataclass(frozen=True)
class Stage:
    """One SFT, from the stage before."""

    data: Values
    """Of `sft_data`."""
    sft: Values
    """Of `sft`."""


@dataclass(frozen=True)
class InitialCheckpoint:
    """A tiny LLaVA after SFT, made anew for each seed."""

    tiny: Values
    """Of `tiny`."""
    stages: tuple[Stage, ...]
    equal_to: str = ""
    """The start whose greedy success it shall equal; "" for none. The rule: of the last stage's
    checkpoints, those within SUCCESS_TOLERANCE of the other's success, and of these the one whose
    share of optimal actions is nearest; where none is within, the one whose success is nearest."""
    success: float | None = None
    """The greedy success it shall have, where it shall equal no other: of the last stage's
    checkpoints, the nearest."""


@dataclass(frozen=True)
class Condition:
    """PPO from a start."""

    title: str
    start: str
    preset: str
    """Of `ppo`."""
    ppo: Values = field(default_factory=dict)
    """What differs from the preset."""


@dataclass(frozen=True)
class Comparison:
    """Two arms, in pairs of the same seed: the first minus the second."""

    first: str
    second: str
    question: str


@dataclass(frozen=True)
class Study:
    """All that a preset runs."""

    starts: dict[str, InitialCheckpoint]
    arms: dict[str, Condition]
    comparisons: tuple[Comparison, ...] = ()
    seeds: int = 5

    def start_recipe(self, name: str) -> str:
        """Return a digest of all that a start follows from, besides its seed."""
        start = self.starts[name]
        other = self.start_recipe(start.equal_to) if start.equal_to else ""
        return _digest(asdict(start), other)

    def recipe(self, name: str) -> str:
        """Return a digest of all that an arm's results follow from, besides its seed."""
        arm = self.arms[name]
        return _digest(asdict(arm), PRESETS[arm.preset], self.start_recipe(arm.start))


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


_TINY: Values = {"env": "NumberLine"}
_CLASSIC: Values = {"theme": "classic"}
_EARLY: Values = {"steps": 160, "lr": 2e-3, "eval_every": 0, "save_every": 16, "keep": 10}
_CLEAN: Values = {"env": "NumberLine", "episodes": 1500, "random_action_prob": 0.3, **_CLASSIC}
_NUMBER_LINE: Values = {**_CLASSIC, "eval_every": 3, "eval_episodes": 60}


def _number_line(title: str, start: str, **ppo: Any) -> Condition:
    return Condition(title, start, "tiny-numberline", {**_NUMBER_LINE, **ppo})


MINIATURE = Study(
    starts={
        "noisy": InitialCheckpoint(
            _TINY,
            (Stage({**_CLEAN, "action_noise": 0.5}, {"steps": 300, "lr": 2e-3, "eval_every": 0}),),
        ),
        "early": InitialCheckpoint(_TINY, (Stage(_CLEAN, _EARLY),), equal_to="noisy"),
        "early-no-cot": InitialCheckpoint(
            _TINY, (Stage({**_CLEAN, "prompt": "action_only"}, _EARLY),), equal_to="noisy"
        ),
        "ez-points": InitialCheckpoint(
            {"env": "EZPoints"},
            (
                Stage(
                    {"env": "EZPoints", "episodes": 1500, "random_action_prob": 0.2, **_CLASSIC},
                    {**_EARLY, "save_every": 20},
                ),
            ),
            success=0.4,
        ),
    },
    arms={
        "ez-points": Condition(
            "EZPoints, CoT, λ = 0.5",
            "ez-points",
            "tiny-ezpoints",
            {
                **_CLASSIC,
                "iterations": 16,
                "kl_coef": 0.0,
                "eval_every": 4,
                "eval_episodes": 60,
            },
        ),
        "lambda-0": _number_line("CoT, λ = 0", "noisy", thought_weight=0.0),
        "lambda-0.2": _number_line("CoT, λ = 0.2", "noisy", thought_weight=0.2),
        "lambda-0.5": _number_line("CoT, λ = 0.5", "noisy", thought_weight=0.5),
        "lambda-1": _number_line("CoT, λ = 1", "noisy", thought_weight=1.0),
        "early": _number_line("CoT, λ = 0.5, early start", "early", thought_weight=0.5),
        "no-cot": _number_line("no CoT, early start", "early-no-cot", prompt="action_only"),
    },
    comparisons=(
        Comparison("lambda-0.5", "lambda-0", "is λ = 0.5 better than no credit for thoughts?"),
        Comparison("lambda-0.5", "lambda-0.2", "is λ = 0.5 better than 0.2?"),
        Comparison("lambda-0.5", "lambda-1", "is λ = 0.5 better than full credit?"),
        Comparison("early", "no-cot", "does CoT help, from early-stopped starts?"),
        Comparison("lambda-0.5", "no-cot", "does CoT help, from a start with noisy actions?"),
    ),
)

STUDIES: dict[str, Study] = {"miniature": MINIATURE}
