"""Write expert transcripts: `python -m agents.train.sft_data --env NumberLine --out sft.jsonl`.

Each line is one turn: the prompt, the reply to learn, and what is needed to redraw the picture
(environment, instance, presentation and earlier actions). Pictures aren't stored.
"""

import dataclasses
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

import vlbench
from agents.train.environments import (
    SHARE_HELP,
    check_env,
    check_env_kwargs,
    check_share,
    known_kwargs,
    make_env,
    training_deals,
)
from agents.train.mixture import MIX_HELP, Mixture, check_mix
from vlbench.cli import (
    MAX_SEED,
    Options,
    new_file,
    option,
    parse_options,
    required,
    run_main,
    writable_file,
)
from vlbench.env import VLEnv
from vlbench.errors import user_code
from vlbench.instances import Share
from vlbench.registry import registered_id, resolve_env_id
from vlbench.solved_env import SolvedEnv
from vlbench.task import Game, perception_names, split_in, unit_in
from vlbench.themes import MAX_JITTER


@dataclass(frozen=True)
class Config(Options):
    """Options of `sft_data`."""

    out: Path = required("JSONL file to write", check=writable_file)
    env: str = option("NumberLine", "environments, by id or short name, comma-separated")
    episodes: int = option(500, "episodes per environment", ge=1)
    action_noise: float = option(
        0.0,
        "probability that the written action is a legal one other than the expert's, for a weak "
        "teacher",
        ge=0,
        le=1,
        old_name="--noise",
    )
    random_action_prob: float = option(
        0.0,
        "probability of playing a random legal action instead of the expert's, so that the data "
        "has states off the expert's path and the expert's replies to them",
        ge=0,
        le=1,
        old_name="--off-path",
    )
    keep_fraction: float = option(
        1.0,
        "share of turns to write; fewer turns per episode give more variety",
        gt=0,
        le=1,
        old_name="--kept",
    )
    mix: str = option("", MIX_HELP, check=check_mix, metavar="NAME=V1,V2,…")
    prompt: str = option("cot", "variant of the prompt; with action_only, replies have no thoughts")
    perception_only: bool = option(
        False,
        "perception-only targets, like LLaVA's caption pre-training: no prompt, and replies that "
        "only state what the picture shows",
        old_name="--reading",
    )
    with_prompt: bool = option(
        False,
        "in perception-only data, keep the prompt, so that a model also reads behind one",
    )
    share: str = option("", SHARE_HELP, check=check_share, metavar="I/N")
    theme: str = option("train", "theme, or group of themes; varied: generated looks")
    jitter: int = option(0, "maximum shift of a picture element, in pixels", ge=0, le=MAX_JITTER)
    env_kwargs: dict[str, Any] = option({}, "further keyword arguments of the environments")
    seed: int = option(0, "seed of the instances and of random actions", ge=0, le=MAX_SEED)
    overwrite: bool = option(False, "replace the file if it exists")

    def check(self) -> None:
        """Check that no argument of the environments is given twice, and no option is idle."""
        check_env_kwargs(self)
        if self.with_prompt and not self.perception_only:
            raise ValueError(
                "--with-prompt is for --perception-only; other data has prompts anyway"
            )

    def kwargs(self) -> dict[str, Any]:
        """Return the keyword arguments of the environments."""
        return {
            "prompt": self.prompt,
            **training_deals(self.share),
            "theme": self.theme,
            "jitter": self.jitter,
            **self.env_kwargs,
        }

    def kwargs_of(self, env_id: str) -> list[dict[str, Any]]:
        """Return an environment's keyword arguments, for each value of the mixture."""
        kwargs = known_kwargs(env_id, self.kwargs())
        return [kwargs | rules for rules in Mixture.parse(self.mix).all_rules()]

    def preflight(self) -> None:
        """Check the file, and that the environments have the demonstrations to write."""
        super().preflight()
        if not self.overwrite:
            new_file(self.out)
        for name in self.env.split(","):
            env_id = resolve_env_id(name.strip())
            for kwargs in self.kwargs_of(env_id):
                with user_code(f"{env_id} can't be made"):
                    env = make_env(env_id, kwargs)
                _require_demonstrations(env.unwrapped, env_id, self.perception_only)
                env.close()


@dataclass(frozen=True)
class Example:
    """One turn of a transcript."""

    env_id: str
    """Id of the environment; "" for text without a picture."""
    kwargs: str
    """Keyword arguments of the environment, as JSON, so that every row has the same columns."""
    instance: str
    presentation: int
    played: list[str]
    """Actions before this turn."""
    prompt: str
    """Text of the observation; "" in perception-only data without prompts."""
    reply: str
    """The reply to learn."""
    action: str
    """The action in the reply."""
    expert: str
    """The expert's action; differs from `action` if action noise replaced it."""


def transcripts(config: Config) -> Iterator[Example]:
    """Play experts and yield their turns.

    Raises:
        ValueError: An environment doesn't exist, or lacks a demonstration of its prompt's fields.
    """
    env_ids = [resolve_env_id(name.strip()) for name in config.env.split(",")]
    deals = [
        [(make_env(env_id, kwargs), kwargs) for kwargs in config.kwargs_of(env_id)]
        for env_id in env_ids
    ]
    for env_id, mixed in zip(env_ids, deals, strict=True):
        for env, _ in mixed:
            _require_demonstrations(env.unwrapped, env_id, config.perception_only)
    for number, (env_id, mixed) in enumerate(zip(env_ids, deals, strict=True)):
        rng = np.random.default_rng((config.seed, number))
        for episode in range(config.episodes):
            env, kwargs = mixed[episode % len(mixed)]
            yield from _episode(env, env_id, kwargs, config, rng)


def _require_demonstrations(env: Any, env_id: str, perception_only: bool) -> None:
    """Check that an environment demonstrates the fields to write.

    Raises:
        ValueError: It doesn't; the message says what to do.
    """
    if not hasattr(env, "demonstrate"):
        raise ValueError(f"{env_id} has no expert to write transcripts of; choose another task")
    if type(env).demonstrate is not SolvedEnv.demonstrate:
        return
    if perception_only:
        raise ValueError(
            f"{env_id} has no demonstration of its own, so nothing states what its pictures show; "
            "leave out --perception-only"
        )
    if fields := [name for name in env.prompt.reply_fields if name != "action"]:
        raise ValueError(
            f"{env_id} has no demonstration of the fields that its prompt asks for "
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
    has_prompt = config.with_prompt or not config.perception_only
    played: list[str] = []
    while True:
        demonstration = inner.demonstrate()
        if demonstration is None:
            return
        fields, expert = demonstration.fields, demonstration.action
        action = expert
        if rng.random() < config.action_noise:
            action = _other_action(expert, info["legal_actions"], rng)
        if config.perception_only:
            reply = json.dumps({name: fields[name] for name in fields if name in perception})
        else:
            reply = inner.write_reply(action, fields)
        if config.keep_fraction == 1 or rng.random() < config.keep_fraction:
            yield Example(
                env_id=env_id,
                kwargs=json.dumps(kwargs),
                instance=info["instance"],
                presentation=info["presentation"],
                played=list(played),
                prompt=observation["text"] if has_prompt else "",
                reply=reply,
                action=action,
                expert=expert,
            )
        step = expert
        if rng.random() < config.random_action_prob:
            step = str(rng.choice(info["legal_actions"]))
        played.append(step)
        observation, _, terminated, truncated, info = env.step(vlbench.reply(step))
        if terminated or truncated:
            return


def _other_action(expert: str, legal: Sequence[str], rng: np.random.Generator) -> str:
    others = [action for action in legal if action != expert]
    return str(rng.choice(others)) if others else expert


def write(path: Path, examples: Iterable[Example]) -> int:
    """Write a file of transcripts; return its number of lines.

    It is written under a temporary name first: if that fails, what was there is intact.
    """
    lines = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("w", encoding="utf-8") as file:
            for example in examples:
                file.write(json.dumps(dataclasses.asdict(example), ensure_ascii=False) + "\n")
                lines += 1
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return lines


def read(path: Path) -> list[Example]:
    """Read a file of transcripts, and check that its environments can be made.

    A file may come from anyone, so it imports no module: an environment of your own must be
    registered already.

    Raises:
        ValueError: A line isn't a transcript, an environment can't be made, or the file is empty.
    """
    examples, envs = [], set[tuple[str, str]]()
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        place = f"{path}:{number}"
        try:
            example = Example(**json.loads(line))
            _check_types(example)
        except (ValueError, TypeError, RecursionError) as error:
            raise ValueError(f"{place} isn't an expert turn: {error}") from error
        env = example.env_id, example.kwargs
        if example.env_id and env not in envs:
            try:
                check_env(registered_id(example.env_id), json.loads(example.kwargs))
            except ValueError as error:
                raise ValueError(f"{place}: {error}") from error
            envs.add(env)
        examples.append(example)
    if not examples:
        raise ValueError(f"{path} is empty")
    return examples


def of_share(examples: Sequence[Example], share: Share) -> list[Example]:
    """Return the examples whose instances, or texts where there are none, are of a share."""
    games = _Games()

    def unit(example: Example) -> str:
        if not example.env_id:
            return example.prompt
        game = games.of(example)
        return example.instance if game is None else unit_in(game, example.instance)

    return [example for example in examples if share.holds(unit(example))]


def check_training(examples: Iterable[Example]) -> None:
    """Check that no example shows an instance that is held out from training.

    Raises:
        ValueError: One does; the message names the first.
    """
    games = _Games()
    for number, example in enumerate(examples, 1):
        game = games.of(example) if example.env_id else None
        split = "" if game is None else split_in(game, example.instance)
        if split not in ("", "train"):
            raise ValueError(
                f"example {number} shows {example.instance}, which {example.env_id} holds out for "
                f"the split {split}; write the data with agents.train.sft_data"
            )


class _Games(dict[tuple[str, str], Game[Any] | None]):
    """The games of examples, one for each environment and keyword arguments."""

    def of(self, example: Example) -> Game[Any] | None:
        """Return the game of an example; None if its environment has no game of ours."""
        key = example.env_id, example.kwargs
        if key not in self:
            env = make_env(example.env_id, json.loads(example.kwargs)).unwrapped
            self[key] = env.game if isinstance(env, VLEnv) else None
        return self[key]


def _check_types(example: Example) -> None:
    """Raise ValueError if a field of an example has a wrong type."""
    texts = ("env_id", "kwargs", "instance", "prompt", "reply", "action", "expert")
    for name in texts:
        if not isinstance(getattr(example, name), str):
            raise ValueError(f"{name} must be a text, got {getattr(example, name)!r:.40}")
    if not isinstance(json.loads(example.kwargs), dict):
        raise ValueError(f"kwargs must hold a JSON object, got {example.kwargs!r:.40}")
    if type(example.presentation) is not int:
        raise ValueError(f"presentation must be a whole number, got {example.presentation!r:.40}")
    played = example.played
    if not isinstance(played, list) or not all(isinstance(action, str) for action in played):
        raise ValueError(f"played must be a list of texts, got {played!r:.40}")


def main(argv: Sequence[str] | None = None) -> int:
    """Write the file; return 0 on success, 1 if it can't be written, 2 on a wrong call."""
    return run_main("sft_data", lambda: _main(argv), failure=1)


def _main(argv: Sequence[str] | None) -> None:
    prog = "python -m agents.train.sft_data"
    config = parse_options(Config, argv, prog=prog, description=__doc__)
    lines = write(config.out, transcripts(config))
    print(f"{lines} turns of {config.episodes} episodes per environment in {config.out}")


if __name__ == "__main__":
    sys.exit(main())
