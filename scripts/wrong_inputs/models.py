"""B: an evaluation of a local model knows which weights it measured."""

import os
import subprocess
from pathlib import Path

from scripts.wrong_inputs.case import Case
from scripts.wrong_inputs.files import Step, copy, edit_weights, link, move, remove, replace
from scripts.wrong_inputs.fixtures import TORCH
from scripts.wrong_inputs.process import python_m, run_module

NEEDS = TORCH
STEPS = (
    lambda: os.mkdir("training"),
    copy("model", "training/step-000001"),
    copy("model", "training/step-000002"),
    edit_weights(
        "training/step-000002/model.safetensors",
        lambda tensors: tensors.update({name: t + 0.01 for name, t in tensors.items()}),
    ),
    link("training/latest", "step-000001"),
    link("training/best", "step-000001"),
)
"""A folder as training leaves it, with two steps."""


def play(model: str = "training/latest", episodes: int = 2, more: str = "") -> str:
    return (
        f"agents.evaluate --agent llava --model {model} --env NumberLine --max-tokens 8 "
        f"--out played --episodes {episodes} {more}"
    )


def case(
    name: str, action: object, *pieces: str, steps: tuple[Step, ...] = (), **more: object
) -> Case:
    """A case that starts from a training folder with two steps."""
    return Case(
        letter="B",
        name=name,
        action=action,
        pieces=pieces,
        fixtures=("model",),
        setup=(*STEPS, *steps),
        **more,
    )


def other_model(name: str, *steps: Step, action: str = play(episodes=4)) -> Case:
    """Going on with a run after its model has changed."""
    pieces = ("played holds another run: ", "the model is ", " there, ", " here", "sha256 ")
    return case(name, action, *pieces, steps=(python_m(play()), *steps))


def mix_two_models() -> None:
    """Put an episode of one model among those of another."""
    for step in (1, 2):
        python_m(play(f"training/step-00000{step}"))()
        os.rename("played", f"played-{step}")
    first, second = (Path(f"played-{step}/episodes.jsonl") for step in (1, 2))
    lines = first.read_text().splitlines()[:1] + second.read_text().splitlines()[1:]
    first.write_text("\n".join(lines) + "\n")


def play_from_a_dirty_checkout() -> None:
    """Play from a checkout with a change that isn't committed."""
    import vlbench

    git = ["git", "-C", "checkout", "-c", "user.name=x", "-c", "user.email=x@example.org"]
    os.makedirs("checkout/vlbench")
    subprocess.run(["git", "init", "-q", "checkout"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], check=True)
    Path("checkout/changed").write_text("x")
    place, vlbench.__file__ = vlbench.__file__, str(Path("checkout/vlbench/__init__.py").resolve())
    try:
        run_module("agents.evaluate --agent expert --env NumberLine --episodes 1 --out run")
    finally:
        vlbench.__file__ = place
        print(Path("run/run.json").read_text())


CASES = (
    case(
        "a run records the resolved step and the hash of the weights",
        play("training/latest", more="--json"),
        '"checkpoint": "training/step-000001"',
        '"weights_hash": "',
        code=0,
    ),
    other_model("`latest` has moved", link("training/latest", "step-000002")),
    other_model(
        "`latest` has moved, and the same command is called again",
        link("training/latest", "step-000002"),
        action=play(),
    ),
    other_model("another step is named", action=play("training/step-000002", 4)),
    other_model(
        "the weights were overwritten in place",
        remove("training/step-000001"),
        copy("training/step-000002", "training/step-000001"),
    ),
    other_model(
        "another chat template",
        replace("training/step-000001/chat_template.jinja", "{", " {", 1),
    ),
    other_model(
        "another processor", replace("training/step-000001/processor_config.json", "{", "{ ", 1)
    ),
    other_model("another precision", action=play(episodes=4, more="--set dtype=bfloat16")),
    case(
        "a run of one folder goes on with another folder",
        play("elsewhere", 4),
        "agent is 'llava training/latest' there, 'llava elsewhere' here",
        steps=(python_m(play()), copy("training/step-000001", "elsewhere")),
    ),
    case(
        "replay of a run that mixes two models",
        "vlbench.replay played-1",
        "turn 0: model is ",
        "2 episodes replayed, 1 differ",
        code=1,
        steps=(mix_two_models,),
    ),
    case(
        "a model that isn't there any more",
        play(),
        "training",
        steps=(python_m(play()), move("training/step-000001", "gone")),
    ),
    Case(
        letter="B",
        name="a checkout with changes that aren't committed",
        action=play_from_a_dirty_checkout,
        pieces=("+dirty",),
        code=0,
    ),
)
