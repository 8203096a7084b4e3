"""What reference players earn on a frozen set: random, heuristic, expert, and the old expert."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np

import vlbench
from vlbench.env import SolvedEnv
from vlbench.freeze import OldExpert, OwnReferences, RowSpec, TaskSuites
from vlbench.instances import Presentation, hashed
from vlbench.suites import Reference

Choose = Callable[[SolvedEnv[Any, Any]], str]
"""A player: environment → action."""

RULE_SUITES = ("ood-rules", "ood-both")
"""Suites with rules that the usual expert doesn't know."""

TOLERANCE = 1e-9
"""A regret below this is 0."""


def reference_results(
    env_id: str, task: TaskSuites, suite: str, rows: Sequence[RowSpec]
) -> dict[str, Reference]:
    """Play each row of a suite once by each reference player; return the results by player."""
    if isinstance(task, OwnReferences):
        return task.references(suite, rows)
    players: dict[str, Choose] = {
        "random": _random,
        "heuristic": lambda env: env.heuristic(),
        "expert": lambda env: env.expert(),
    }
    if suite in RULE_SUITES:
        players["old_expert"] = _old_expert(env_id, task)
    envs: dict[str, SolvedEnv[Any, Any]] = {}
    return {name: _result(env_id, rows, choose, envs) for name, choose in players.items()}


def _old_expert(env_id: str, task: TaskSuites) -> Choose:
    if isinstance(task, OldExpert):
        own = task.old_expert
        return lambda env: own(env.state, max(env.turns_left, 1))
    game = _solved(gymnasium.make(env_id)).game
    return lambda env: game.expert(env.state, max(env.turns_left, 1))


def _random(env: SolvedEnv[Any, Any]) -> str:
    return random_action(env.vocabulary, env.presentation, env.turns_left)


def random_action(actions: Sequence[str], presentation: Presentation, turns_left: int) -> str:
    """Return an action of the random player."""
    return actions[hashed(f"{presentation}|{turns_left}|random") % len(actions)]


def _solved(env: gymnasium.Env[Any, Any]) -> SolvedEnv[Any, Any]:
    inner = env.unwrapped
    assert isinstance(inner, SolvedEnv), f"{type(inner).__name__} has no exact values"
    return inner


def _result(
    env_id: str, rows: Sequence[RowSpec], choose: Choose, envs: dict[str, SolvedEnv[Any, Any]]
) -> Reference:
    regrets: list[float] = []
    successes = optimal = 0
    for row in rows:
        key = str(sorted(row.kwargs.items()))
        if key not in envs:
            envs[key] = _solved(gymnasium.make(env_id, **row.kwargs))
        env = envs[key]
        env.begin(0, {"instance": row.instance, "presentation": row.presentation})
        success, lost = _play(env, choose)
        successes += success
        optimal += max(lost) < TOLERANCE
        regrets += lost
    return Reference(successes / len(rows), float(np.mean(regrets)), optimal / len(rows))


def _play(env: SolvedEnv[Any, Any], choose: Choose) -> tuple[bool, list[float]]:
    """Play an episode; return its success and the regret of each turn."""
    regrets: list[float] = []
    values: Mapping[str, float] = env.values()
    success = False
    while not env.is_over:
        best, action = max(values.values()), choose(env)
        outcome = env.advance(vlbench.reply(action))
        success = bool(outcome.info["success"])
        before, values = values, {} if env.is_over else env.values()
        if action in before and not outcome.info["illegal"]:
            regrets.append(best - before[action])
        else:
            regrets.append(best - outcome.reward - max(values.values(), default=0.0))
    return success, regrets
