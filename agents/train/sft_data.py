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
from agents.train.thoughts import SEEN, THOUGHTS, Fields, Scene, Thought
from vlbench.cli import refuse
from vlbench.registry import resolve_env_id


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
    """Play experts and yield their turns."""
    for number, name in enumerate(config.env.split(",")):
        env_id = resolve_env_id(name.strip())
        kwargs = {
            "prompt": config.prompt,
            "split": config.split,
            "theme": config.theme,
            "jitter": config.jitter,
            **config.env_kwargs,
        }
        rng = np.random.default_rng((config.seed, number))
        env = make_env(env_id, kwargs)
        for _ in range(config.episodes):
            yield from _episode(env, env_id, kwargs, config, rng)


def _episode(
    env: gymnasium.Env[Any, str],
    env_id: str,
    kwargs: dict[str, Any],
    config: Config,
    rng: np.random.Generator,
) -> Iterator[Example]:
    observation, info = env.reset(seed=int(rng.integers(2**31)))
    inner: Any = env.unwrapped
    state = inner.game.start(info["instance"])
    played: list[str] = []
    while True:
        scene = Scene(inner.game, state, info["facts"], inner.turns_left)
        think = THOUGHTS.get(inner.game.name)
        thought = think(scene) if think else Thought({}, scene.action)
        if thought is None:
            return
        fields, expert = thought.fields, thought.action
        written = expert
        if rng.random() < config.noise:
            written = _another(expert, info["legal_actions"], rng)
        if config.reading:
            reply = json.dumps({name: fields[name] for name in SEEN if name in fields})
        else:
            reply = _reply({} if config.prompt == "action_only" else fields, written)
        if config.kept == 1 or rng.random() < config.kept:
            yield Example(
                env_id=env_id,
                kwargs=json.dumps(kwargs),
                instance=info["instance"],
                presentation=info["presentation"],
                played=list(played),
                prompt="" if config.reading else observation["text"],
                reply=reply,
                action=written,
                expert=expert,
            )
        taken = expert
        if rng.random() < config.off_path:
            taken = str(rng.choice(info["legal_actions"]))
        state = inner.game.step(state, taken).state
        played.append(taken)
        observation, _, terminated, truncated, info = env.step(vlbench.reply(taken))
        if terminated or truncated:
            return


def _reply(thoughts: Fields, action: str) -> str:
    return json.dumps({**thoughts, "action": action}, ensure_ascii=False)


def _another(expert: str, legal: Sequence[str], rng: np.random.Generator) -> str:
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
