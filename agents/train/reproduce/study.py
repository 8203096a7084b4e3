"""The studies that `agents.train.reproduce` runs: starts, arms and comparisons, by preset.

Everything is fixed before anything is measured. Results of different recipes are never mixed.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from agents.train import TRAINER, sft, sft_data, tiny
from agents.train.ppo_config import PRESETS, Config

Values = dict[str, Any]
"""Values for some fields of a command's `Config`; the others have their defaults."""

SUCCESS_TOLERANCE = 0.05
"""Largest difference in greedy success between a start and the start that it should equal."""


@dataclass(frozen=True)
class Stage:
    """One SFT run, from the previous stage."""

    data: Values
    """Options of `sft_data`."""
    sft: Values
    """Options of `sft`."""


@dataclass(frozen=True)
class InitialCheckpoint:
    """A tiny LLaVA after SFT, trained anew for each seed."""

    tiny: Values
    """Options of `tiny`."""
    stages: tuple[Stage, ...]
    equal_to: str = ""
    """The start whose greedy success it should equal; "" for none. The rule: among the last stage's
    checkpoints within SUCCESS_TOLERANCE of the other's success, take the one whose share of optimal
    actions is nearest; if there are none, take the one whose success is nearest."""
    success: float | None = None
    """The target greedy success if `equal_to` is empty: take the nearest of the last stage's
    checkpoints."""


@dataclass(frozen=True)
class Condition:
    """PPO from a start."""

    title: str
    start: str
    preset: str
    """Preset of `ppo`."""
    ppo: Values = field(default_factory=dict)
    """Options that differ from the preset."""


@dataclass(frozen=True)
class Comparison:
    """The difference of two arms, the first minus the second, paired by seed."""

    first: str
    second: str
    question: str


@dataclass(frozen=True)
class Study:
    """The experiments of a preset."""

    starts: dict[str, InitialCheckpoint]
    arms: dict[str, Condition]
    comparisons: tuple[Comparison, ...] = ()
    seeds: int = 5

    def start_recipe(self, name: str) -> str:
        """Return a digest of everything that determines a start, except the seed.

        It holds the trainer's version and every option's value, whether it is a default or not.
        """
        start = self.starts[name]
        other = self.start_recipe(start.equal_to) if start.equal_to else ""
        stages = [
            [
                resolved(sft_data.Config(out=Path(), **stage.data)),
                resolved(sft.Config(model="", data=Path(), out=Path(), **stage.sft)),
            ]
            for stage in start.stages
        ]
        model = resolved(tiny.Config(out=Path(), **start.tiny))
        return _digest(TRAINER, asdict(start), model, stages, other)

    def recipe(self, name: str) -> str:
        """Return a digest of everything that determines an arm's results, except the seed."""
        arm = self.arms[name]
        return _digest(
            TRAINER, arm.title, resolved(self.config(name)), self.start_recipe(arm.start)
        )

    def config(self, name: str, **own: Any) -> Config:
        """Return an arm's options for `ppo`; `own` are those that a run adds."""
        arm = self.arms[name]
        return Config(**{"model": "", "log": "json", **PRESETS[arm.preset], **arm.ppo, **own})


INCIDENTAL = frozenset(
    {
        *("model", "data", "out", "seed"),  # the recipe of the start stands for the files
        *("log", "overwrite", "estimate_memory", "trust_remote_code"),
    }
)
"""Options that say where a run is and what is shown of it."""
LATER = {"with_prompt": False, "text_first": False}
"""Options that came after the first committed results → the value that those results have."""


def resolved(config: Any) -> Values:
    """Return the value of every option that decides what a command computes."""
    return {
        name: value
        for name, value in asdict(config).items()
        if name not in INCIDENTAL and not (name in LATER and value == LATER[name])
    }


def _digest(*parts: Any) -> str:
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


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
