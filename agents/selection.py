"""Select what a run plays: environments by the user's names, and rows of each."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

import gymnasium

import vlbench
from agents.agent import Agent
from vlbench.adapters import not_replayable
from vlbench.contract import INFO_TYPES
from vlbench.display.formatting import counted
from vlbench.errors import unknown_name, user_code
from vlbench.freeze import has_suites
from vlbench.outcomes import check_outcomes
from vlbench.records.run_spec import RunSpec
from vlbench.registry import check_keywords, has_splits, resolve_env_id, short_name
from vlbench.suites import (
    LADDER,
    SEEDS,
    TEST,
    Row,
    benchmark_suites,
    ordered_suites,
    rules_difference,
    suites,
)

OWN_OPTIONS = {
    "prompt": "use --prompt",
    "theme": "use --theme",
    "picture": "use --picture",
    "split": "evaluation plays frozen rows, or deals rows of the test split",
    "share": "evaluation plays whole splits",
    "render_mode": "evaluation needs none",
}
"""Keyword arguments that `env_kwargs` can't set, and why."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """An environment that isn't played, and why."""

    env: str
    reason: str


ALL_RUNGS = "ladder"
"""Name of all rungs of a ladder, in a list of suites."""


@dataclass(frozen=True, slots=True)
class Play:
    """A suite of a list of suites, and where it is played."""

    suite: str
    env_ids: tuple[str, ...]
    """Ids, short names and globs; the rungs of a ladder are played only where they exist."""
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of `evaluate` that this part of a sweep sets."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the agent that it sets."""
    place: str = ""
    """Name of the folder, if several are played; "" for the suite's."""


def plan_suites(names: str, env_ids: str, env_kwargs: Mapping[str, Any] = {}) -> tuple[Play, ...]:
    """Return the suites of a list such as "test,ood-looks,ladder", each once.

    Raises:
        ValueError: A name is empty, an environment doesn't exist, or none of them has a ladder.
    """
    plays: dict[str, Play] = {}
    selection = _select_ids(env_ids)
    for name in (part.strip() for part in names.split(",")):
        if not name:
            raise ValueError(f'suite must be a name or several with commas between, got "{names}"')
        if name != ALL_RUNGS:
            _check_suite(name, selection)
            plays.setdefault(name, Play(name, (env_ids,)))
            continue
        own = {env_id: suites(env_id, env_kwargs) for env_id in selection}
        rungs = [suite for of_env in own.values() for suite in of_env if suite.startswith(LADDER)]
        if not rungs:
            raise ValueError(f"no ladder for {env_ids}; wanted an environment with sets {LADDER}…")
        for rung in ordered_suites(rungs):
            having = tuple(env_id for env_id, of_env in own.items() if rung in of_env)
            plays.setdefault(rung, Play(rung, having))
    return tuple(plays.values())


@dataclass(frozen=True, slots=True)
class Selection:
    """What is played."""

    spec: RunSpec
    """The user's specification; its suite is SEEDS if no frozen sets are played."""
    rows: Mapping[str, tuple[Row, ...]]
    """env id → rows, in the order of the tables."""
    skipped: tuple[Skipped, ...]
    warnings: tuple[str, ...]
    """What is played otherwise than asked, one line each."""
    not_replayable: Mapping[str, str]
    """env id → how the same seed and actions play differently, for those where they do."""


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
    for name, reason in OWN_OPTIONS.items():
        if name in spec.env_kwargs:
            raise ValueError(f"env_kwargs can't set {name}: {reason}")
    _check_suite(spec.suite, selection)
    rows: dict[str, tuple[Row, ...]] = {}
    chosen: dict[str, str] = {}
    skipped = []
    for env_id, explicit in selection.items():
        try:
            suite = _suite(env_id, spec)
            if spec.challenge and suite == SEEDS:
                raise ValueError(f"a challenge follows the rules of its set {TEST}; it has none")
            env_rows = replace(spec, suite=suite).rows(env_id)[: spec.episodes]
            _check_playable(agent, env_rows[0])
            frozen = replace(spec, suite=suite, challenge=None)
            check_outcomes(env_id, suite, frozen.rows(env_id) if spec.challenge else env_rows)
            rows[env_id], chosen[env_id] = env_rows, suite
        except ValueError as error:
            if explicit:
                raise ValueError(f"{env_id} can't be played: {error}") from error
            skipped.append(Skipped(env_id, " ".join(str(error).split())))
    if not rows:
        why = f"{skipped[0].env} can't be played: {skipped[0].reason}" if skipped else env_ids
        raise ValueError(f"nothing to play: {why}")
    suite_names = set(chosen.values())
    if len(suite_names) > 1:
        without = ", ".join(env_id for env_id in rows if chosen[env_id] == SEEDS)
        raise ValueError(
            f"{without}: no frozen sets there, only seeds; play it in a run of its own"
        )
    warnings = [line for env_id in rows for line in _warnings(env_id, spec, len(rows[env_id]))]
    apart = not_replayable(rows)
    warnings += [f"{env_id}: not replayable: {why}" for env_id, why in apart.items()]
    spec = replace(spec, suite=suite_names.pop())
    return Selection(spec, rows, tuple(skipped), tuple(warnings), apart)


def _check_suite(suite: str, env_ids: Iterable[str]) -> None:
    own = (name for env_id in env_ids for name in suites(env_id))
    known = (*dict.fromkeys((*benchmark_suites(), *own)), SEEDS)
    if suite not in known:
        raise ValueError(unknown_name("suite", suite, known))


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


def _suite(env_id: str, spec: RunSpec) -> str:
    """Return the suite that is played of an environment: the requested one, or dealt rows.

    Raises:
        ValueError: The environment doesn't have the set that was requested.
    """
    names = suites(env_id, spec.env_kwargs)
    if spec.suite == SEEDS or spec.suite in names:
        return spec.suite
    if names:
        raise ValueError(unknown_name(f"suite of {env_id}", spec.suite, (*names, SEEDS)))
    if spec.suite == TEST:
        return SEEDS
    raise ValueError(
        f"no suite {spec.suite}, because {_why_dealt(env_id, spec)}; leave --suite out to play "
        "dealt rows"
    )


def _why_dealt(env_id: str, spec: RunSpec) -> str:
    """Return why an environment has no frozen sets."""
    if difference := rules_difference(env_id, spec.env_kwargs):
        return f"its frozen sets are for other rules ({difference})"
    return "it has no frozen sets"


def _warnings(env_id: str, spec: RunSpec, number: int) -> list[str]:
    """Return how the rows of an environment differ from what was asked, as lines."""
    if spec.suite != SEEDS and not suites(env_id, spec.env_kwargs):
        rows = counted(number, "dealt row") + (" of the test split" if has_splits(env_id) else "")
        why = _why_dealt(env_id, spec)
        limits = "whose floor and ceiling only --bounds computes"
        if not has_suites(env_id):
            limits = "without floor and ceiling"
        return [f"{env_id}: plays {rows}, {limits}: {why}"]
    if spec.episodes is not None and number < spec.episodes:
        return [f"{env_id}: suite {spec.suite} has {counted(number, 'row')}, not {spec.episodes}"]
    return []


def _check_playable(agent: Agent, row: Row) -> None:
    """Make a row's environment, to see whether the agent can play it.

    Raises:
        ValueError: It can't be made, isn't for this agent, or doesn't keep the contract.
    """
    if agent.env_ids is not None and row.env_id not in agent.env_ids:
        raise ValueError(f"{agent.name} plays only {', '.join(agent.env_ids)}")
    check_keywords(row.env_id, row.kwargs)
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
