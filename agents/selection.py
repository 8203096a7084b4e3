"""Select what a run plays: environments by the user's names, and rows of each."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

import gymnasium

import vlbench
from agents.agent import Agent
from vlbench.contract import INFO_TYPES
from vlbench.errors import unknown_name, user_code
from vlbench.registry import resolve_env_id, short_name
from vlbench.suites import SEEDS, SUITES, Row, RunSpec, suites

NUM_SEEDS = 50
"""Episodes of an environment without frozen sets, unless the user asks for another number."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """An environment that isn't played, and why."""

    env: str
    reason: str


@dataclass(frozen=True, slots=True)
class Selection:
    """What is played."""

    spec: RunSpec
    """The user's specification; its suite is SEEDS if the environments have no frozen sets."""
    rows: Mapping[str, tuple[Row, ...]]
    """env id → rows, in the order of the tables."""
    skipped: tuple[Skipped, ...]


def select_rows(env_ids: str | Iterable[str], agent: Agent, spec: RunSpec) -> Selection:
    """Choose environments and rows.

    Args:
        env_ids: Ids, short names ("Points24"), globs ("*Points*"), "all", or several of them in a
            list or with commas between. "module:namespace/Name-v0" imports the module first, as
            `gymnasium.make` does.
        agent: Who will play; its `env_ids`, if it has them, limit `all` and globs.
        spec: What is to be played.

    Raises:
        ValueError: A name isn't known, an environment that is named can't be played, or nothing
            is left to play.
    """
    selection = _select_ids(env_ids)
    known = dict.fromkeys((*SUITES, *(name for env_id in selection for name in suites(env_id))))
    if spec.suite not in known:
        raise ValueError(unknown_name("suite", spec.suite, known))
    rows: dict[str, tuple[Row, ...]] = {}
    skipped = []
    for env_id, explicit in selection.items():
        try:
            env_rows = _rows(env_id, spec)
            _check_playable(agent, env_rows[0])
            rows[env_id] = env_rows
        except ValueError as error:
            if explicit:
                raise ValueError(f"{env_id} can't be played: {error}") from error
            skipped.append(Skipped(env_id, " ".join(str(error).split())))
    if not rows:
        reason = f"{skipped[0].env} can't be played: {skipped[0].reason}" if skipped else env_ids
        raise ValueError(f"nothing to play: {reason}")
    kinds = {SEEDS if not suites(env_id) else spec.suite for env_id in rows}
    if len(kinds) > 1:
        without = ", ".join(env_id for env_id in rows if not suites(env_id))
        raise ValueError(
            f"{without}: no frozen sets there, only seeds; play it in a run of its own"
        )
    return Selection(replace(spec, suite=kinds.pop()), rows, tuple(skipped))


def _select_ids(env_ids: str | Iterable[str]) -> dict[str, bool]:
    """Return the selected ids, and whether each is named explicitly."""
    items = [env_ids] if isinstance(env_ids, str) else env_ids
    patterns = [pattern.strip() for item in items for pattern in item.split(",")]
    selection: dict[str, bool] = {}
    for pattern in filter(None, patterns):
        if pattern == "all":
            matches: Sequence[str] = vlbench.ENV_IDS
        elif set("*?[") & set(pattern):
            matches = _matching(pattern)
        else:
            selection[resolve_env_id(pattern)] = True
            continue
        for env_id in matches:
            selection.setdefault(env_id, False)
    return selection


def _matching(pattern: str) -> list[str]:
    known = gymnasium.registry if "/" in pattern else vlbench.ENV_IDS
    matches = [
        name
        for name in known
        if fnmatchcase(name if "/" in pattern else short_name(name), pattern)
        and name not in vlbench.UNRANKED_IDS
    ]
    if not matches:
        raise ValueError(f'no env id matches "{pattern}" (known: {", ".join(vlbench.ENV_IDS)})')
    return matches


def _rows(env_id: str, spec: RunSpec) -> tuple[Row, ...]:
    if suites(env_id) or spec.challenge:
        return spec.rows(env_id)[: spec.episodes]
    return tuple(
        Row(env_id, spec.kwargs, instance="", presentation=0, seed=seed)
        for seed in range(spec.episodes or NUM_SEEDS)
    )


def _check_playable(agent: Agent, row: Row) -> None:
    """Make a row's environment, to see whether the agent can play it.

    Raises:
        ValueError: It can't be made, isn't for this agent, or doesn't keep the contract.
    """
    if agent.env_ids is not None and row.env_id not in agent.env_ids:
        raise ValueError(f"{agent.name} plays only {', '.join(agent.env_ids)}")
    with user_code():
        env = gymnasium.make(row.env_id, **row.kwargs)
    with closing(env):
        _check_contract(agent, env)


def _check_contract(agent: Agent, env: gymnasium.Env[Any, Any]) -> None:
    with user_code():
        observation, info = env.reset(seed=0)
    if not (isinstance(observation, Mapping) and {"image", "text"} <= observation.keys()):
        raise ValueError('its observations have no "image" and "text"; see vlbench.contract')
    if lacking := [name for name in INFO_TYPES if name not in info]:
        raise ValueError(f"its info has no {', '.join(lacking)}; see vlbench.contract")
    for need in agent.needs:
        if not hasattr(env.unwrapped, need):
            raise ValueError(f"{agent.name} needs an environment with {need}")
