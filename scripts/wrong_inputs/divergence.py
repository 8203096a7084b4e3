"""F: a number that isn't finite ends a training run in one line, and is never saved."""

from scripts.wrong_inputs.case import Case
from scripts.wrong_inputs.files import Step, edit_weights, write
from scripts.wrong_inputs.fixtures import CNN, PPO, SFT, TORCH
from scripts.wrong_inputs.process import run_module

NEEDS = TORCH
CALLS = {
    "ppo": (f"agents.train.ppo --model model --out new {PPO} --save-every 1", ("model",)),
    "sft": (
        f"agents.train.sft --model model --data data.jsonl --out new {SFT} --save-every 1",
        ("model", "data.jsonl"),
    ),
    "cnn": (f"agents.train.cnn --out new {CNN} --save-every 1", ()),
}
LONGER = {"ppo": "--iterations 4", "sft": "--steps 6", "cnn": "--turns 128"}
PAYS_NAN = """
import math
import gymnasium
from vlbench.tasks.number_line import NumberLine, NumberLineVector

class Unpayable(NumberLine):
    def advance(self, reply):
        return super().advance(reply)._replace(reward=math.nan)

class UnpayableVector(NumberLineVector):
    env_class = Unpayable

gymnasium.register("my/Unpayable-v0", Unpayable, vector_entry_point=UnpayableVector)
"""


def diverges(method: str, lr: str) -> Case:
    """A run with a learning rate that is far too high."""
    command, fixtures = CALLS[method]
    more = f"--end-lr {lr} --value-lr {lr}" if method == "ppo" else ""
    return Case(
        letter="F",
        name=f"{method} --lr {lr}",
        action=checked(f"{command} {LONGER[method]} --lr {lr} {more}"),
        pieces=(f"{method}: step ", "try a lower --lr in a new --out", "all saved weights finite"),
        code=1,
        fixtures=fixtures,
    )


def bad_weight(method: str, value: float) -> Case:
    """A checkpoint to start from that holds a number that isn't finite."""

    def spoil(tensors: dict) -> None:
        next(iter(tensors.values())).view(-1)[0] = value

    command, fixtures = CALLS[method]
    return Case(
        letter="F",
        name=f"{method} from a checkpoint with {value}",
        action=command,
        pieces=(f"{method}: a weight of the checkpoint to start from isn't finite",),
        code=1,
        fixtures=fixtures,
        setup=(edit_weights("model/model.safetensors", spoil),),
        absent=("new/settings.jsonl", "new/metrics.jsonl"),
    )


def bad_gradient(method: str) -> Case:
    """A run of which one gradient, and no loss, isn't finite."""
    command, fixtures = CALLS[method]

    def train() -> None:
        import torch

        norm = torch.nn.utils.clip_grad_norm_

        def spoil(weights: object, *args: object, **kwargs: object) -> object:
            weights = list(weights)
            next(w for w in weights if w.grad is not None).grad.view(-1)[0] = float("nan")
            return norm(weights, *args, **kwargs)

        torch.nn.utils.clip_grad_norm_ = spoil
        checked(f"{command} {LONGER[method]}")()

    return Case(
        letter="F",
        name=f"{method} with a gradient of NaN",
        action=train,
        pieces=(f"{method}: step ", "gradient", "all saved weights finite"),
        code=1,
        fixtures=fixtures,
    )


def checked(command: str) -> Step:
    """Return a step that runs a command and looks at every weight that it saved."""

    def step() -> None:
        try:
            run_module(command)
        finally:
            from pathlib import Path

            from safetensors.torch import load_file

            files = list(Path("new").rglob("*.safetensors"))
            finite = all(t.isfinite().all() for f in files for t in load_file(f).values())
            print("all saved weights finite" if finite else "a saved weight isn't finite")

    return step


NAN, INF = float("nan"), float("inf")
CASES = (
    *(diverges(method, lr) for method in CALLS for lr in ("1e10", "1e30")),
    *(bad_weight(method, value) for method in ("ppo", "sft") for value in (NAN, INF)),
    *(bad_gradient(method) for method in CALLS),
    Case(
        letter="F",
        name="cnn in an environment that pays NaN",
        action=f"{CALLS['cnn'][0]} --env unpayable:my/Unpayable-v0",
        pieces=("isn't finite",),
        code=1,
        setup=(write("unpayable.py", PAYS_NAN),),
    ),
    Case(
        letter="F",
        name="ppo in an environment that pays NaN",
        action=f"{CALLS['ppo'][0]} --env unpayable:my/Unpayable-v0",
        pieces=("ppo: step ", "a reward isn't finite; mend the environment"),
        code=1,
        fixtures=("model",),
        setup=(write("unpayable.py", PAYS_NAN),),
    ),
    *(
        Case(
            letter="F",
            name=f"{method} --lr {value}",
            action=f"{command} --lr {value}",
            pieces=("--lr must be > 0",),
            fixtures=fixtures,
        )
        for method, (command, fixtures) in CALLS.items()
        for value in ("nan", "inf")
    ),
)
