"""E: a training run goes on with its own settings, or not at all."""

import shutil

from scripts.wrong_inputs.case import Case
from scripts.wrong_inputs.files import Step, copy, edit_weights, remove, replace
from scripts.wrong_inputs.fixtures import CNN, PPO, SFT, TORCH

NEEDS = TORCH
CALLS = {
    "ppo": f"agents.train.ppo --model model --out ppo {PPO}",
    "sft": f"agents.train.sft --model model --data data.jsonl --out sft {SFT}",
    "cnn": f"agents.train.cnn --out cnn {CNN}",
}
LONGER = {"ppo": "--iterations 2", "sft": "--steps 3", "cnn": "--turns 64"}
PARTS = {"ppo": ("model", "ppo"), "sft": ("model", "data.jsonl", "sft"), "cnn": ("cnn",)}

CHANGES = {
    "ppo": {
        "--lr 0.5": "--lr 0.0001 → 0.5",
        "--gamma 0.5": "--gamma 0.9 → 0.5",
        "--thought-weight 0.2": "--thought-weight 0.5 → 0.2",
        "--theme midnight": "--theme train → midnight",
        "--env Blackjack": "--env NumberLine → Blackjack",
        "--env EZPoints": "--env NumberLine → EZPoints",
        "--env-kwargs '{\"max_position\":9}'": '--env-kwargs {} → {"max_position": 9}',
        "--num-envs 6": "--num-envs 2 → 6",
        "--preset tiny-points24": "--env NumberLine → Points24",
        "--seed 1": "--seed 0 → 1",
        "--model other": "--model model → other",
    },
    "sft": {
        "--lr 0.5": "--lr 0.0015 → 0.5",
        "--thought-weight 0.2": "--thought-weight 1.0 → 0.2",
        "--holdout 0.5": "--holdout 0.05 → 0.5",
        "--batch 2": "--batch 4 → 2",
        "--data other.jsonl": "--data data.jsonl → other.jsonl",
        "--model other": "--model model → other",
    },
    "cnn": {
        "--lr 0.5": "--lr 0.00025 → 0.5",
        "--env EZPoints": "--env NumberLine → EZPoints",
        "--num-envs 1": "--num-envs 2 → 1",
        "--theme midnight": "--theme train → midnight",
    },
}
"""Method → other options → the difference that must be named."""


def other_files(method: str) -> tuple[Step, ...]:
    """Return the steps that make the other model and the other data."""
    if method == "cnn":
        return ()
    weights = edit_weights(
        "other/model.safetensors", lambda tensors: next(iter(tensors.values())).mul_(2)
    )
    steps = (copy("model", "other"), weights)
    if method == "ppo":
        return steps
    return (
        *steps,
        lambda: shutil.copy("data.jsonl", "other.jsonl"),
        replace("other.jsonl", '"presentation": ', '"presentation": 1', 1),
    )


def refused(method: str, option: str, difference: str) -> Case:
    """A call with another setting, which would otherwise have something to do."""
    return Case(
        letter="E",
        name=f"{method} again with {option}",
        action=f"{CALLS[method]} {LONGER[method]} {option}",
        pieces=(f"{method}: {method} is a run with other settings (recorded → new): ", difference),
        fixtures=PARTS[method],
        setup=other_files(method),
    )


def goes_on(method: str, *differences: str) -> Case:
    """A call with settings that may change."""
    return Case(
        letter="E",
        name=f"{method} again with {LONGER[method]} --save-every 7",
        action=f"{CALLS[method]} {LONGER[method]} --save-every 7",
        pieces=("; changed: ", *differences),
        code=0,
        fixtures=PARTS[method],
    )


CASES = (
    *(
        refused(method, option, difference)
        for method, changes in CHANGES.items()
        for option, difference in changes.items()
    ),
    goes_on("ppo", "iterations 1 → 2", "save-every 10 → 7"),
    goes_on("sft", "steps 2 → 3", "save-every 1000 → 7"),
    goes_on("cnn", "turns 32 → 64", "save-every 20 → 7"),
    Case(
        letter="E",
        name="ppo goes on without the model that it started from",
        action=f"{CALLS['ppo']} {LONGER['ppo']}",
        pieces=("ppo/step-000002",),
        code=0,
        fixtures=PARTS["ppo"],
        setup=(remove("model"),),
    ),
)
