"""Write expert transcripts: `python -m agents.train.sft_data --env NumberLine --out sft.jsonl`.

Each line is one turn: the prompt as shown, the reply to learn, and what redraws the picture
(environment, instance, presentation and the actions before). Pictures aren't stored.
"""

import dataclasses
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

import vlbench
from agents.train.config_cli import parse_dataclass
from agents.train.environments import make_env
from vlbench.cli import refuse
from vlbench.env import SolvedEnv
from vlbench.registry import resolve_env_id
from vlbench.task import perception_names


@dataclass(frozen=True)
class Config:
    """Options of `sft_data`."""

    out: Path
    """JSONL file to write"""
    env: str = "NumberLine"
    """environments, by id or short name, with commas between"""
    episodes: int = 500
    """episodes of each environment"""
    noise: float = 0.0
    """share of the written actions that are replaced by another legal action (a weak teacher)"""
    off_path: float = 0.0
    """share of the turns in which a random legal action is played instead of the expert's, so that
    states off the expert's path appear, with the expert's recovery as the reply"""
    kept: float = 1.0
    """share of the turns that are written; the turns of an episode show the same cards"""
    prompt: str = "cot"
    """variant of the prompt; under action_only the replies have no thoughts"""
    reading: bool = False
    """learn to read first, as LLaVA does from captions: no prompt, and replies that only say what
    the picture shows"""
    split: str = "train"
    """instances that are dealt: train, test or all"""
    theme: str = "train"
    """theme, or group of themes"""
    jitter: int = 0
    """largest shift of an element of the picture, in pixels, 0..5"""
    env_kwargs: dict[str, Any] = field(default_factory=dict)
    """further keyword arguments of the environments"""
    seed: int = 0
    """seed of the deals, the noise and the steps off the path"""


@dataclass(frozen=True)
class Example:
    """One turn of a transcript."""

    env_id: str
    """"" for text without a picture."""
    kwargs: str
    """Keyword arguments of the environment, as JSON (so that every row has the same columns)."""
    instance: str
    presentation: int
    played: list[str]
    """Actions before this turn."""
    prompt: str
    """The text of the observation; "" where only reading is learned."""
    reply: str
    """What to learn."""
    action: str
    """The action in the reply."""
    expert: str
    """The expert's action; differs from `action` where noise flipped it."""


def transcripts(config: Config) -> Iterator[Example]:
    """Play experts and yield their turns.

    Raises:
        ValueError: No such environment, or no expert shows what its prompt asks for.
    """
    kwargs = {
        "prompt": config.prompt,
        "split": config.split,
        "theme": config.theme,
        "jitter": config.jitter,
        **config.env_kwargs,
    }
    env_ids = [resolve_env_id(name.strip()) for name in config.env.split(",")]
    envs = [make_env(env_id, kwargs) for env_id in env_ids]
    for env, env_id in zip(envs, env_ids, strict=True):
        _require_demonstrations(env.unwrapped, env_id, config.reading)
    for number, (env, env_id) in enumerate(zip(envs, env_ids, strict=True)):
        rng = np.random.default_rng((config.seed, number))
        for _ in range(config.episodes):
            yield from _episode(env, env_id, kwargs, config, rng)


def _require_demonstrations(env: Any, env_id: str, reading: bool) -> None:
    """Check that an environment's expert writes what is to be learned.

    Raises:
        ValueError: It doesn't; says what to do.
    """
    if not hasattr(env, "demonstrate"):
        raise ValueError(f"{env_id} has no expert to write transcripts of; choose another task")
    if type(env).demonstrate is not SolvedEnv.demonstrate:
        return
    if reading:
        raise ValueError(
            f"{env_id} brings no demonstration, so nothing says what its pictures show; "
            "leave out --reading"
        )
    if fields := [name for name in env.prompt.reply_fields if name != "action"]:
        raise ValueError(
            f"{env_id} brings no demonstration of the fields that its prompt asks for "
            f"({', '.join(fields)}); write action-only replies with --prompt action_only, or "
            "override `demonstrate` in the environment"
        )


def _episode(
    env: gymnasium.Env[Any, str],
    env_id: str,
    kwargs: dict[str, Any],
    config: Config,
    rng: np.random.Generator,
) -> Iterator[Example]:
    observation, info = env.reset(seed=int(rng.integers(2**31)))
    inner: Any = env.unwrapped
    perception = perception_names(inner.fields)
    played: list[str] = []
    while True:
        demonstration = inner.demonstrate()
        if demonstration is None:
            return
        fields, expert = demonstration.fields, demonstration.action
        action = expert
        if rng.random() < config.noise:
            action = _other_action(expert, info["legal_actions"], rng)
        if config.reading:
            reply = json.dumps({name: fields[name] for name in fields if name in perception})
        else:
            reply = inner.write_reply(action, fields)
        if config.kept == 1 or rng.random() < config.kept:
            yield Example(
                env_id=env_id,
                kwargs=json.dumps(kwargs),
                instance=info["instance"],
                presentation=info["presentation"],
                played=list(played),
                prompt="" if config.reading else observation["text"],
                reply=reply,
                action=action,
                expert=expert,
            )
        step = expert
        if rng.random() < config.off_path:
            step = str(rng.choice(info["legal_actions"]))
        played.append(step)
        observation, _, terminated, truncated, info = env.step(vlbench.reply(step))
        if terminated or truncated:
            return


def _other_action(expert: str, legal: Sequence[str], rng: np.random.Generator) -> str:
    others = [action for action in legal if action != expert]
    return str(rng.choice(others)) if others else expert


def write(path: Path, examples: Iterable[Example]) -> int:
    """Write a file of transcripts, whole or not at all; return its number of lines."""
    lines = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("w", encoding="utf-8") as file:
        for example in examples:
            file.write(json.dumps(dataclasses.asdict(example), ensure_ascii=False) + "\n")
            lines += 1
    partial.replace(path)
    return lines


def read(path: Path) -> list[Example]:
    """Read a file of transcripts.

    Raises:
        ValueError: It is no such file; names the line.
    """
    examples = []
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                examples.append(Example(**json.loads(line)))
            except (ValueError, TypeError) as error:
                raise ValueError(f"{path}:{number} is no expert turn: {error}") from error
    if not examples:
        raise ValueError(f"{path} is empty")
    return examples


def main(argv: Sequence[str] | None = None) -> int:
    """Write the file; exit 0 when done, 2 on a wrong call."""
    try:
        config = parse_dataclass(
            Config,
            sys.argv[1:] if argv is None else argv,
            prog="python -m agents.train.sft_data",
            description=__doc__ or "",
        )
        for name in ("noise", "off_path", "kept"):
            if not 0 <= getattr(config, name) <= 1:
                raise ValueError(f"{name} is a share, 0..1; got {getattr(config, name)}")
        lines = write(config.out, transcripts(config))
        print(f"{lines} turns of {config.episodes} episodes an environment in {config.out}")
    except (ValueError, OSError) as error:
        return refuse("sft_data", error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
