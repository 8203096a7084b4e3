"""What reference players earn on a frozen set, and what its pictures are worth to one of them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np

import vlbench
from vlbench.freeze import OldExpert, OwnPlayers, RowSpec, TaskSuites
from vlbench.instances import Presentation, hashed
from vlbench.intervals import Interval, mean
from vlbench.solved_env import SolvedEnv
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
    """Play each row of a suite once by each reference player; return the results by player.

    A task without exact values has none: no regret can be computed.
    """
    if isinstance(task, OwnPlayers):
        return task.references(suite, rows)
    if not isinstance(gymnasium.make(env_id).unwrapped, SolvedEnv):
        return {}
    players: dict[str, Choose] = {
        "random": _random,
        "heuristic": lambda env: env.heuristic(),
        "expert": lambda env: env.expert(),
    }
    if suite in RULE_SUITES:
        players["old_expert"] = _old_expert(env_id, task)
    envs: dict[str, SolvedEnv[Any, Any]] = {}
    return {name: _result(env_id, rows, choose, envs) for name, choose in players.items()}


def visual_gain(env_id: str, task: TaskSuites, rows: Sequence[RowSpec]) -> Interval | None:
    """Return what the picture is worth to an expert that sees nothing else, in success.

    With a blank picture it draws uniformly from the vocabulary.

    Returns:
        None if the task has no `expert_by_picture`.
    """
    if isinstance(task, OwnPlayers):
        return task.visual_gain(rows)
    usual = gymnasium.make(env_id).unwrapped
    if not (isinstance(usual, SolvedEnv) and hasattr(usual, "expert_by_picture")):
        return None
    wins: list[list[bool]] = [[], []]
    envs: dict[str, SolvedEnv[Any, Any]] = {}
    for row in rows:
        for won, picture in zip(wins, ("true", "blank"), strict=True):
            env = _env_of(env_id, RowSpec({**row.kwargs, "picture": picture}, "", 0), envs)
            env.begin(0, {"instance": row.instance, "presentation": row.presentation})
            success = False
            while not env.is_over:
                outcome = env.advance(vlbench.reply(_by_picture(env)))
                success = bool(outcome.info["success"])
            won.append(success)
    gains = [float(seen) - float(blind) for seen, blind in zip(*wins, strict=True)]
    return mean(gains, [row.instance for row in rows], span=1.0)


def _by_picture(env: Any) -> str:
    facts = env.seen_facts
    return str(env.expert_by_picture(facts)) if facts else _random(env)


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
        env = _env_of(env_id, row, envs)
        env.begin(0, {"instance": row.instance, "presentation": row.presentation})
        success, lost = _play(env, choose)
        successes += success
        optimal += max(lost) < TOLERANCE
        regrets += lost
    return Reference(successes / len(rows), float(np.mean(regrets)), optimal / len(rows))


def _env_of(env_id: str, row: RowSpec, envs: dict[str, SolvedEnv[Any, Any]]) -> SolvedEnv[Any, Any]:
    """Return the environment of a row, which is made on first use."""
    key = str(sorted(row.kwargs.items()))
    if key not in envs:
        envs[key] = _solved(gymnasium.make(env_id, **row.kwargs))
    return envs[key]


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
