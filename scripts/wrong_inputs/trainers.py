"""E: wrong calls of the trainers are one line and code 2, and touch nothing."""

from collections.abc import Iterator, Mapping

from scripts.wrong_inputs.case import Case
from scripts.wrong_inputs.files import Step, write
from scripts.wrong_inputs.fixtures import PPO, SFT, TORCH
from scripts.wrong_inputs.process import without

NEEDS = TORCH
RIGHT = {
    "evaluate": "agents.evaluate --agent expert",
    "ppo": f"agents.train.ppo --model model {PPO}",
    "sft": f"agents.train.sft --model model --data data.jsonl {SFT}",
    "cnn": "agents.train.cnn",
    "tiny": "agents.train.tiny",
    "sft_data": "agents.train.sft_data",
    "exercises": "agents.train.exercises",
    "reproduce": "agents.train.reproduce",
}
"""Command → a call that is right as far as it goes."""

VALUES = {
    "ppo --temperature -1": "--temperature must be > 0, got -1",
    "ppo --temperature 0": "--temperature must be > 0, got 0",
    "ppo --temperature nan": "--temperature must be > 0, got nan",
    "ppo --clip -1": "--clip must be > 0, got -1",
    "ppo --gamma 3": "--gamma must be from 0 to 1, got 3",
    "ppo --lr -1": "--lr must be > 0, got -1",
    "ppo --lr 1e999": "--lr must be > 0, got 1e999",
    "ppo --thought-weight -5": "--thought-weight must be from 0 to 1, got -5",
    "ppo --eval-every -1": "--eval-every must be at least 0, got -1",
    "ppo --epochs 0": "--epochs must be at least 1, got 0",
    "ppo --iterations 0": "--iterations must be at least 1, got 0",
    "ppo --iterations -3": "--iterations must be at least 1, got -3",
    "ppo --top-p 0": "--top-p must be > 0 and at most 1, got 0",
    "ppo --max-new-tokens 0": "--max-new-tokens must be at least 1, got 0",
    "ppo --minibatch 0": "--minibatch must be at least 1, got 0",
    "ppo --seed -1": "--seed must be from 0 to 4294967295, got -1",
    "ppo --num-envs 65536 --num-steps 65536": "4,294,967,296 turns is too long",
    "ppo --num-envs x": "--num-envs must be",
    "ppo --lora-dropout 1": "--lora-dropout must be at least 0 and < 1, got 1",
    "ppo --theme clasic": 'unknown theme "clasic"; did you mean "classic"?',
    "ppo --env NumberLines": 'unknown env id "NumberLines"; did you mean "NumberLine"?',
    "ppo --env CartPole-v1": "CartPole-v1 can't be made",
    """ppo --env-kwargs '{"faces":3}'""": 'unknown keyword argument "faces"',
    "ppo --lambda 1": 'unknown option "--lambda"',
    "ppo --preset tiny-numberlin": 'did you mean "tiny-numberline"',
    "ppo --model nowhere": "no checkpoint folder nowhere",
    "sft --batch 0": "--batch must be at least 1, got 0",
    "sft --steps 0": "--steps must be at least 1, got 0",
    "sft --steps -1": "--steps must be at least 1, got -1",
    "sft --holdout 1": "--holdout must be at least 0 and < 1, got 1",
    "sft --thought-weight 1.5": "--thought-weight must be from 0 to 1, got 1.5",
    "sft --data nope.jsonl": "--data: no file nope.jsonl",
    "sft --out /proc/x": "--out: can't write to /proc",
    "cnn --minibatch 1": "--minibatch must be at least 2, got 1",
    "cnn --lr 0": "--lr must be > 0, got 0",
    "cnn --device cud": '--device must be auto, cpu, cuda or cuda:NUMBER, got "cud"',
    "tiny --text-layers -1": "--text-layers must be at least 1, got -1",
    "tiny --text-layers 0": "--text-layers must be at least 1, got 0",
    "tiny --width 6": "width 6 must be a multiple of twice heads 4",
    "sft_data --episodes 0": "--episodes must be at least 1, got 0",
    "sft_data --episodes -3": "--episodes must be at least 1, got -3",
    "sft_data --keep-fraction 0": "--keep-fraction must be > 0 and at most 1, got 0",
    "exercises --count 0": "--count must be at least 1, got 0",
    "reproduce --preset miniatur": 'got "miniatur"; did you mean "miniature"',
    "evaluate --episodes 0": "--episodes must be at least 1, got 0",
    "evaluate --retries -1": "--retries must be at least 0, got -1",
    "evaluate --max-usd nan": "--max-usd must be at least 0, got nan",
}
"""A call → the line that must come."""

PLACES = {
    "ppo --out sft": "--out: sft is a run of sft",
    "ppo --out run": "--out: run is an evaluation run",
    "ppo --out model": "--out: model is a model, not a run of ppo",
    "ppo --out file": "--out: file is a file, not a folder",
    "sft --out ppo": "--out: ppo is a run of ppo",
    "sft --out run": "--out: run is an evaluation run",
    "sft --out file/new": "file is a file, not a folder",
    "cnn --out sft": "--out: sft is a run of sft",
    "cnn --out .": "--out: . is a folder of other files",
    "tiny --out sft/latest": "choose another folder",
    "tiny --out sft/latest --overwrite": "choose another folder",
    "tiny --out model": "model is a model; choose another folder, or replace the model with",
    "tiny --out run": "--out: run is an evaluation run",
    "evaluate --out sft": "--out: sft is a run of sft",
    "evaluate --out model": "--out: model is a model",
    "sft_data --out sft": "--out: sft is a folder, not a file",
    "sft_data --out data.jsonl": "--out: data.jsonl exists; choose another name, or replace",
    "sft_data --out /tmp": "--out: /tmp is a folder, not a file",
    "sft_data --out /proc/x": "--out: can't write to /proc",
    "exercises --out file": "--out: file exists; choose another name, or replace it",
    "sft --model sft --out new": "--model: sft is a run, not a checkpoint; try sft/latest",
    "sft --data file --out new": "file:1 isn't an expert turn",
    "ppo --model file --out new": 'wanted a checkpoint: a folder, or hf:<id>; got "file"',
}
"""A call that would write into, or read, another kind of file → the line that must come."""

MISSING = {
    "agents.train.ppo --model model": "torch",
    "agents.train.sft --model model --data data.jsonl": "peft",
    "agents.train.tiny --out new": "transformers",
    "agents.train.cnn": "stable_baselines3",
    "agents.train.ppo --model model --env ALFWorld": "textworld",
    "agents.train.cnn --env ALFWorld": "textworld",
    "agents.train.sft_data --out new --env ALFWorld": "textworld",
    "agents.train.cnn --log wandb": "wandb",
    "agents.evaluate --agent llava --model model": "torch",
}
"""A call → a package that isn't installed."""


def cases(
    calls: Mapping[str, str], more: str, *fixtures: str, setup: tuple[Step, ...] = ()
) -> Iterator[Case]:
    """Yield a case for each wrong call."""
    for call, message in calls.items():
        command, _, wrong = call.partition(" ")
        place = "" if "--out" in wrong else more
        yield Case(
            letter="E",
            name=call,
            action=f"{RIGHT[command]} {place} {wrong}",
            pieces=(f"{command}: ", message),
            fixtures=fixtures,
            setup=setup,
            absent=("new",),
        )


def missing(command: str, package: str) -> Case:
    """A call on a computer that lacks a package."""
    return Case(
        letter="E",
        name=f"{command} without {package}",
        action=without(command, package),
        pieces=("pip install",),
        absent=("new", "runs"),
    )


CASES = (
    *cases(VALUES, "--out new", "model", "data.jsonl"),
    *cases(
        PLACES,
        "",
        *("model", "data.jsonl", "run", "sft", "ppo"),
        setup=(write("file", "{}\n"),),
    ),
    *(missing(command, package) for command, package in MISSING.items()),
)
