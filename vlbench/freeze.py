"""Write the frozen sets of tasks and the success rates of random and best play on them.

`python -m vlbench.freeze` rewrites each task's `test.jsonl`, `ood.jsonl` and `bounds.json`. Run it
once per version of a task: a changed set is a different set. Each task defines its own part in
`suites.py`: `rows(suite)` and `bounds(suite, rows)`.
"""

import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import gymnasium
import numpy as np

import vlbench
from vlbench.cli import (
    Options,
    option,
    parse_options,
    run_main,
)
from vlbench.env import VLEnv
from vlbench.errors import unknown_name
from vlbench.instances import MAX_PRESENTATION, group_of, hashed
from vlbench.registry import resolve_env_id, task_folder
from vlbench.suites import SUITES, Bounds
from vlbench.task import Game

RANDOM_EPISODES = 100_000
"""Random episodes behind a floor that isn't computed exactly."""


@dataclass(frozen=True, slots=True)
class RowSpec:
    """A row before its first frame is hashed."""

    kwargs: dict[str, Any]
    instance: str
    presentation: int


class TaskSuites(Protocol):
    """The interface of a task's `suites` module."""

    def rows(self, suite: str) -> list[RowSpec]:
        """Return the rows of a suite, in any order."""

    def bounds(self, suite: str, rows: Sequence[RowSpec]) -> Bounds:
        """Return the success rates of random and best play."""


def presentation(suite: str, number: int) -> int:
    """Return the presentation of a suite's row where the task doesn't choose one."""
    return hashed(f"{suite}|{number}") % MAX_PRESENTATION


def random_success(games: Sequence[tuple[Game[Any], str]], episodes: int) -> float:
    """Return the success rate of uniformly random actions of the vocabulary.

    Args:
        games: (game, instance) pairs, played in turn.
        episodes: How many episodes.
    """
    rng = np.random.default_rng(0)
    successes = 0
    for episode in range(episodes):
        game, instance = games[episode % len(games)]
        state = game.start(instance)
        for choice in rng.integers(len(game.vocabulary), size=game.max_turns).tolist():
            action = game.vocabulary[choice]
            if action not in game.legal(state):
                continue
            move = game.step(state, action)
            state = move.state
            if move.terminated:
                successes += move.success
                break
    return successes / episodes


def interleave_groups(rows: Sequence[RowSpec]) -> list[RowSpec]:
    """Return rows in an order with balanced prefixes: shuffled by hash, the groups in turn."""
    mixed = sorted(rows, key=lambda row: hashed(json.dumps(asdict(row))))
    earlier: Counter[str] = Counter()
    turns = []
    for row in mixed:
        group = group_of(row.instance)
        turns.append((earlier[group], group, row))
        earlier[group] += 1
    return [row for _, _, row in sorted(turns, key=lambda turn: turn[:2])]


def task_suites(env_id: str) -> TaskSuites:
    """Return the `suites` module of one of the benchmark's tasks."""
    folder = Path(str(task_folder(env_id)))
    module: TaskSuites = import_module(f"vlbench.tasks.{folder.name}.suites")
    return module


def freeze(env_id: str) -> None:
    """Write a task's sets and bounds; what else `bounds.json` says stays as it is."""
    folder = Path(str(task_folder(env_id)))
    path = folder / "bounds.json"
    task = task_suites(env_id)
    bounds: dict[str, Any] = {}
    for suite in SUITES:
        rows = interleave_groups(task.rows(suite))
        write_rows(folder / f"{suite}.jsonl", env_id, rows)
        bounds[suite] = asdict(task.bounds(suite, rows))
        print(f"{env_id} {suite}: {len(rows)} rows, {bounds[suite]}", file=sys.stderr)
    env = gymnasium.make(env_id).unwrapped
    assert isinstance(env, VLEnv)
    bounds["held_out"] = env.game.held_out
    written = json.loads(path.read_text("utf-8")) if path.exists() else {}
    bounds |= {name: value for name, value in written.items() if name not in bounds}
    path.write_text(json.dumps(bounds, indent=2) + "\n", "utf-8")


def write_rows(path: Path, env_id: str, rows: Sequence[RowSpec]) -> None:
    """Write a set, each row with the sha256 of its first frame as "frame"."""
    lines = [json.dumps({**asdict(row), "frame": _frame(env_id, row)}) for row in rows]
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")


def _frame(env_id: str, row: RowSpec) -> str:
    env = gymnasium.make(env_id, **row.kwargs).unwrapped
    assert isinstance(env, VLEnv)
    env.reset(options={"instance": row.instance, "presentation": row.presentation})
    return env.frame_hash()


@dataclass(frozen=True, kw_only=True)
class Config(Options):
    """Options of `freeze`."""

    tasks: tuple[str, ...] = option((), "ids or short names; all by default", positional=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Freeze tasks; exit 0 when done, 2 on a wrong call."""
    return run_main("freeze", lambda: _freeze(argv))


def _freeze(argv: Sequence[str] | None) -> None:
    config = parse_options(Config, argv, prog="python -m vlbench.freeze", description=__doc__)
    env_ids = [resolve_env_id(name) for name in config.tasks] or vlbench.ENV_IDS
    for env_id in env_ids:
        if env_id not in vlbench.ENV_IDS:
            raise ValueError(unknown_name("task", env_id, vlbench.ENV_IDS))
    for env_id in env_ids:
        try:
            freeze(env_id)
        except ImportError as error:  # what the task needs isn't installed
            raise ValueError(f"{env_id}: {error}") from error


if __name__ == "__main__":
    sys.exit(main())
