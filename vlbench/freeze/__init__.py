"""Freezing a task's sets: what a task's module `suites` defines, and what it can use for that.

`python -m vlbench.freeze` writes the sets; see `vlbench.freeze.__main__`.
"""

import json
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import gymnasium
import numpy as np

from vlbench.env import VLEnv
from vlbench.errors import user_code
from vlbench.instances import MAX_PRESENTATION, TRAINING_PRESENTATIONS, group_of, hashed
from vlbench.intervals import Interval
from vlbench.outcomes import write_outcomes
from vlbench.registry import LOOKS, rules_of, task_folder, task_module
from vlbench.suites import PAPER, Bounds, Reference, Row, stated_rules
from vlbench.task import Game, split_in

RANDOM_EPISODES = 100_000
"""Random episodes behind a floor that isn't computed exactly."""


MANY_GROUPS = 20
"""A set with more groups than this puts them in a shuffled order."""


@dataclass(frozen=True, slots=True)
class RowSpec:
    """A row before its first frame is hashed."""

    kwargs: dict[str, Any]
    instance: str
    presentation: int


class TaskSuites(Protocol):
    """The interface of a task's `suites` module."""

    NAMES: tuple[str, ...]
    """The task's suites, e.g. ("test", "ood-looks", "ladder-50")."""

    def rows(self, suite: str) -> list[RowSpec]:
        """Return the rows of a suite, in any order."""

    def bounds(self, rows: Sequence[RowSpec]) -> Bounds:
        """Return the success rates of random and best play.

        Args:
            rows: Rows under any rules of the task; keyword arguments that are LOOKS may be absent.
        """


@runtime_checkable
class OldExpert(Protocol):
    """An optional function of a task's `suites` module."""

    def old_expert(self, state: Any, turns: int) -> str:
        """Return what the usual rules' expert does in a state under other rules.

        Without this function it is the action of `expert` of the usual game in that state.
        """


@runtime_checkable
class OwnPlayers(Protocol):
    """Optional functions of a task's `suites` module, for a task whose environment is slow.

    They return what those of `vlbench.freeze.players` would.
    """

    def references(self, suite: str, rows: Sequence[RowSpec]) -> dict[str, Reference]:
        """Return the results of the reference players; see `reference_results`."""

    def visual_gain(self, rows: Sequence[RowSpec]) -> Interval | None:
        """Return what the picture is worth; see `vlbench.freeze.players.visual_gain`."""


def presentation(suite: str, number: int) -> int:
    """Return the presentation of a suite's row; no training deals it."""
    span = MAX_PRESENTATION - TRAINING_PRESENTATIONS
    return TRAINING_PRESENTATIONS + hashed(f"{suite}|{number}") % span


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
    """Return rows in an order with balanced prefixes: shuffled by hash, the groups in turn.

    Rows of one group have the same group of instances and the same keyword arguments. Many groups
    come in a shuffled order, because a prefix may not reach them all.
    """
    mixed = sorted(rows, key=lambda row: hashed(json.dumps(asdict(row))))
    earlier: Counter[str] = Counter()
    turns = []
    for row in mixed:
        group = json.dumps([group_of(row.instance), row.kwargs], sort_keys=True)
        turns.append((earlier[group], group, row))
        earlier[group] += 1
    if len(earlier) > MANY_GROUPS:
        return [row for _, _, row in sorted(turns, key=lambda turn: (turn[0], hashed(turn[1])))]
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
            raise ValueError(
                f"the task of {env_id} has no module `suites`, which names its rows and computes "
                "its bounds; see vlbench.freeze.TaskSuites and `vlbench new-task`"
            )
        module: TaskSuites = import_module(name)
    return module


def has_suites(env_id: str) -> bool:
    """Return whether an environment's task has a module `suites`, which computes its bounds."""
    try:
        task_suites(env_id)
    except ValueError:
        return False
    return True


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


def planned_rows(env_id: str, task: TaskSuites, suites: Sequence[str]) -> dict[str, list[RowSpec]]:
    """Return the rows of a task's suites, none of which training may have dealt.

    Raises:
        ValueError: A row is repeated, its keyword arguments are refused, or training deals its
            instance or its presentation; names the first.
    """
    envs: dict[str, VLEnv[Any, Any]] = {}
    planned: dict[str, list[RowSpec]] = {}
    for suite in suites:
        with user_code(f"{env_id}: rows({suite!r})"):
            planned[suite] = task.rows(suite)
        if not planned[suite]:
            raise ValueError(f"{env_id}: the set {suite} has no rows")
        seen: set[str] = set()
        for number, row in enumerate(planned[suite]):
            place = f"{env_id}: row {number} of {suite} ({row.instance})"
            if (key := json.dumps(asdict(row), sort_keys=True)) in seen:
                raise ValueError(f"{place} is a row twice; wanted different rows")
            seen.add(key)
            kwargs = json.dumps(row.kwargs, sort_keys=True)
            with user_code(place):
                if kwargs not in envs:
                    envs[kwargs] = _env(env_id, row)
            _check_held_out(place, suite, envs[kwargs].game, row)
    return planned


def _check_held_out(place: str, suite: str, game: Game[Any], row: RowSpec) -> None:
    """Raise ValueError if training deals a row; instances of the suite PAPER may be trained on."""
    if not TRAINING_PRESENTATIONS <= row.presentation < MAX_PRESENTATION:
        raise ValueError(
            f"{place} has the presentation {row.presentation}, which training may deal; take "
            "vlbench.freeze.presentation(suite, number)"
        )
    split = "" if suite == PAPER else split_in(game, row.instance)
    if split not in ("", "test"):
        raise ValueError(
            f"{place} is an instance of the split {split}, which training sees; take instances "
            'whose vlbench.task.split_in(game, instance) is "test"'
        )


def write_rows(path: Path, env_id: str, rows: Sequence[RowSpec]) -> None:
    """Write a set, each row with the sha256 of its first frame as "frame", and its outcomes."""
    lines = [json.dumps({**asdict(row), "frame": frame_of(env_id, row)}) for row in rows]
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    starts = [Row(env_id, row.kwargs, row.instance, row.presentation) for row in rows]
    write_outcomes(path.parent / "outcomes" / path.name, starts)


def _env(env_id: str, row: RowSpec) -> VLEnv[Any, Any]:
    env = gymnasium.make(env_id, **row.kwargs).unwrapped
    if not isinstance(env, VLEnv):
        raise ValueError(f"{env_id} is no VLEnv, which alone has instances to freeze")
    return env


def frame_of(env_id: str, row: RowSpec) -> str:
    """Return the sha256 of a row's first frame."""
    env = _env(env_id, row)
    env.reset(options={"instance": row.instance, "presentation": row.presentation})
    return env.frame_hash()
