"""Write the frozen sets of tasks and the success rates of random and best play on them.

`python -m vlbench.freeze` rewrites each task's `test.jsonl`, `ood.jsonl`, their outcomes and
`bounds.json`. Run it once per version of a task: a changed set is a different set. `--outcomes`
keeps the sets and bounds, and writes only the outcomes and the rules. Each task defines its own
part in `suites.py`: `rows(suite)` and `bounds(rows)`.
"""

import json
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.util import find_spec
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
from vlbench.errors import unknown_name, user_code
from vlbench.instances import MAX_PRESENTATION, group_of, hashed
from vlbench.outcomes import write_outcomes
from vlbench.registry import LOOKS, resolve_env_id, rules_of, task_folder, task_module
from vlbench.suites import SUITES, Bounds, Row, frozen_rows, stated_rules
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

    def bounds(self, rows: Sequence[RowSpec]) -> Bounds:
        """Return the success rates of random and best play.

        Args:
            rows: Rows under any rules of the task; keyword arguments that are LOOKS may be absent.
        """


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
    """Return the `suites` module of an environment's task.

    Raises:
        ValueError: The task has none, or it isn't about this environment: another class stands in
            place of the task's, or the id's registration limits or wraps its environments.
    """
    spec, stated = gymnasium.registry[env_id.rpartition(":")[2]], stated_rules(env_id)
    if spec.max_episode_steps is not None or spec.additional_wrappers:
        raise ValueError(f"the registration of {env_id} limits or wraps its environments")
    if stated and stated.env_class != (own := rules_of(env_id).env_class):
        raise ValueError(f"the class of {env_id} is {own}, and its task's is {stated.env_class}")
    name = f"{task_module(env_id)}.suites"
    with user_code(f"{name} can't be imported"):
        if not task_module(env_id) or task_folder(env_id) is None or find_spec(name) is None:
            raise ValueError(f"the task of {env_id} has no module `suites`; see CONTRIBUTING.md")
        module: TaskSuites = import_module(name)
    return module


def computed_bounds(env_id: str, rows: Sequence[Row]) -> Bounds:
    """Compute the success rates of random and best play on rows, as for a frozen set.

    Args:
        env_id: The environment.
        rows: Rows of this environment; those without an instance are dealt first.

    Raises:
        ValueError: The environment's task can't compute them.
    """
    task, usual = task_suites(env_id), gymnasium.registry[env_id.rpartition(":")[2]].kwargs
    specs = []
    with closing(gymnasium.make(env_id, **rows[0].kwargs)) as env:
        for row in rows:
            instance = row.instance or str(env.reset(seed=row.seed)[1]["instance"])
            kwargs = {k: v for k, v in {**usual, **row.kwargs}.items() if k not in LOOKS}
            specs.append(RowSpec(kwargs, instance, row.presentation))
    return task.bounds(specs)


def freeze(env_id: str) -> None:
    """Write a task's sets, outcomes, bounds and rules; the rest of `bounds.json` stays as it is."""
    folder = Path(str(task_folder(env_id)))
    task = task_suites(env_id)
    bounds: dict[str, Any] = {}
    for suite in SUITES:
        rows = interleave_groups(task.rows(suite))
        write_rows(folder / f"{suite}.jsonl", env_id, rows)
        bounds[suite] = asdict(task.bounds(rows))
        print(f"{env_id} {suite}: {len(rows)} rows, {bounds[suite]}", file=sys.stderr)
    env = gymnasium.make(env_id).unwrapped
    assert isinstance(env, VLEnv)
    bounds["held_out"] = env.game.held_out
    _update(folder / "bounds.json", {**bounds, "rules": asdict(rules_of(env_id))})


def freeze_outcomes(env_id: str) -> None:
    """Write the outcomes of a task's frozen rows, and the rules for which they hold."""
    folder = Path(str(task_folder(env_id)))
    _update(folder / "bounds.json", {"rules": asdict(rules_of(env_id))})
    for suite in SUITES:
        write_outcomes(folder / "outcomes" / f"{suite}.jsonl", frozen_rows(env_id, suite))
        print(f"{env_id} {suite}: outcomes of its rows", file=sys.stderr)


def _update(path: Path, values: dict[str, Any]) -> None:
    """Replace values of a JSON file; what else it says stays as it is."""
    written = json.loads(path.read_text("utf-8")) if path.exists() else {}
    path.write_text(json.dumps(written | values, indent=2) + "\n", "utf-8")


def write_rows(path: Path, env_id: str, rows: Sequence[RowSpec]) -> None:
    """Write a set, each row with the sha256 of its first frame as "frame", and its outcomes."""
    lines = [json.dumps({**asdict(row), "frame": _frame(env_id, row)}) for row in rows]
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    starts = [Row(env_id, row.kwargs, row.instance, row.presentation) for row in rows]
    write_outcomes(path.parent / "outcomes" / path.name, starts)


def _frame(env_id: str, row: RowSpec) -> str:
    env = gymnasium.make(env_id, **row.kwargs).unwrapped
    assert isinstance(env, VLEnv)
    env.reset(options={"instance": row.instance, "presentation": row.presentation})
    return env.frame_hash()


@dataclass(frozen=True, kw_only=True)
class Config(Options):
    """Options of `freeze`."""

    tasks: tuple[str, ...] = option((), "ids or short names; all by default", positional=True)
    outcomes: bool = option(False, "keep the sets and bounds; write outcomes and rules alone")


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
            write = freeze_outcomes if config.outcomes else freeze
            write(env_id)
        except ImportError as error:  # what the task needs isn't installed
            raise ValueError(f"{env_id}: {error}") from error


if __name__ == "__main__":
    sys.exit(main())
