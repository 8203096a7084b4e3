"""What `evaluate --sweep NAME=VALUES` plays: one run for each value."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from agents.agent import Agent
from agents.selection import Play, plan_suites, select_rows
from vlbench.cli.options import shorten
from vlbench.records.run_spec import RunSpec
from vlbench.registry import LOOKS
from vlbench.suites import LADDER, SEEDS

ALL_RUNGS = "ladder"
"""Name of a sweep over the rungs of a ladder, and of all of them."""
VIEWS = ("theme", "prompt", "history")
"""Arguments of `evaluate` that a sweep may change: how an agent sees the rows of the suite."""
MOST_VALUES = 100
MOST_HISTORY = 1000


@dataclass(frozen=True, slots=True)
class Sweep:
    """A name and its values."""

    name: str
    values: tuple[Any, ...]
    """In the order given; () for all rungs of a ladder."""


def parse_sweep(text: str) -> Sweep:
    """Parse NAME=V1,V2,…, with JSON values where possible; or "ladder", for all its rungs.

    Raises:
        ValueError: It is none, or has fewer than two values.
    """
    name, equals, listed = text.partition("=")
    if text == ALL_RUNGS:
        return Sweep(ALL_RUNGS, ())
    if not equals or not name:
        raise ValueError(
            f'must be NAME=V1,V2,… as in max_position=5,10,20, or ladder; got "{shorten(text)}"'
        )
    values = tuple(_value(part.strip()) for part in listed.split(","))
    if len(values) < 2 or "" in values or len(set(map(str, values))) < len(values):
        raise ValueError(f'needs two values or more, each once; got "{shorten(text)}"')
    if len(values) > MOST_VALUES:
        raise ValueError(f"takes at most {MOST_VALUES} values, got {len(values)}")
    return Sweep(name, values)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def plan_sweep(
    sweep: Sweep,
    suite: str,
    env: str,
    env_kwargs: dict[str, Any],
    settings: Collection[str] = (),
) -> tuple[Play, ...]:
    """Return what is played, a `Play` for each value.

    Args:
        sweep: Names and values.
        suite: The suite that the user asked for; "test" if none.
        env: Environments, as `--env` takes them.
        env_kwargs: Other keyword arguments of the environments.
        settings: Names of the agent's settings.

    Raises:
        ValueError: The sweep sets what is set elsewhere, or an environment or a rung is unknown.
    """
    if sweep.name == ALL_RUNGS:
        _only_default(sweep, suite)
        rungs = ",".join(f"{LADDER}{value}" for value in sweep.values) or ALL_RUNGS
        return plan_suites(rungs, env, env_kwargs)
    if sweep.name in env_kwargs:
        raise ValueError(f"--sweep and --env-kwargs both set {sweep.name}")
    places = [f"{sweep.name}-{_place(value)}" for value in sweep.values]
    if sweep.name in VIEWS:
        _check_view(sweep)
        return tuple(
            Play(suite, (env,), {sweep.name: value}, place=place)
            for value, place in zip(sweep.values, places, strict=True)
        )
    if sweep.name in settings:
        return tuple(
            Play(suite, (env,), settings={sweep.name: value}, place=place)
            for value, place in zip(sweep.values, places, strict=True)
        )
    changes = [{"env_kwargs": {**env_kwargs, sweep.name: value}} for value in sweep.values]
    if sweep.name in LOOKS:
        return tuple(
            Play(suite, (env,), change, place=place)
            for change, place in zip(changes, places, strict=True)
        )
    _only_default(sweep, suite)
    # Frozen sets hold for one rule alone: all values play dealt rows, so that they compare.
    return tuple(
        Play(SEEDS, (env,), change, place=place)
        for change, place in zip(changes, places, strict=True)
    )


def _check_view(sweep: Sweep) -> None:
    for value in sweep.values:
        is_count = isinstance(value, int) and not isinstance(value, bool)
        if sweep.name == "history" and not (is_count and 0 <= value <= MOST_HISTORY):
            raise ValueError(f"history must be from 0 to {MOST_HISTORY}, got {json.dumps(value)}")
        if sweep.name != "history" and not isinstance(value, str):
            raise ValueError(f"{sweep.name} must be a name, got {json.dumps(value)}")


def check_rows(agent: Agent, plays: Iterable[tuple[Play, Mapping[str, Any]]]) -> None:
    """Check that every value can be played, before the first is.

    Args:
        agent: Who will play.
        plays: What is played, and the arguments of `evaluate` that a sweep may set.

    Raises:
        ValueError: A value can't be played; says why.
    """
    for play, view in plays:
        theme = view["theme"] or ""
        spec = RunSpec(
            play.suite,
            view["prompt"],
            theme,
            episodes=1,
            history=view["history"],
            env_kwargs=view["env_kwargs"],
        )
        select_rows(play.env_ids, agent, spec)


def _only_default(sweep: Sweep, suite: str) -> None:
    if suite not in ("test", SEEDS):
        raise ValueError(f"a sweep of {sweep.name} chooses the rows itself; leave --suite out")


def _place(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return "".join(c if c.isalnum() or c in "._-" else "-" for c in text)[:60]
