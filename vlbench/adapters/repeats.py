"""Whether an environment that isn't ours plays the same episode twice."""

from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from typing import Any

import gymnasium

import vlbench
from vlbench.env import VLEnv
from vlbench.errors import user_code
from vlbench.instances import hashed
from vlbench.registry import env_class
from vlbench.suites import Row

TURNS = 25
"""Most turns of an episode that is played twice."""

ROWS = 3
"""Rows of each environment that are played twice."""


def not_replayable(rows: Mapping[str, Sequence[Row]]) -> dict[str, str]:
    """Return the environments whose first rows, played twice, differ.

    Those of ours (`VLEnv`) aren't played: the contract checks them. One that raises is left to the
    run, which records the error.

    Args:
        rows: Environment → its rows.

    Returns:
        Environment → the first difference in words.
    """
    found = {}
    for env_id, starts in rows.items():
        creator = env_class(env_id)
        if isinstance(creator, type) and issubclass(creator, VLEnv):
            continue
        with suppress(ValueError), user_code():
            if difference := _first_difference(starts[:ROWS]):
                found[env_id] = difference
    return found


def _first_difference(rows: Sequence[Row]) -> str:
    for row in rows:
        with closing(_made(row)) as env, closing(_made(row)) as other:
            is_ours = isinstance(env.unwrapped, VLEnv) or not hasattr(env.unwrapped, "vocabulary")
            if not is_ours and (difference := _difference(env, other, row)):
                return difference
    return ""


def _made(row: Row) -> gymnasium.Env[Any, str]:
    return gymnasium.make(row.env_id, **row.kwargs)


def _difference(env: gymnasium.Env[Any, str], other: gymnasium.Env[Any, str], row: Row) -> str:
    """Play the same actions, drawn by hash, in both; return the first difference."""
    seed = 0 if row.seed is None else row.seed
    first, second = (e.reset(seed=seed, options=row.options) for e in (env, other))
    results: tuple[Any, Any] = (first[0], second[0])
    place = f"the start of {first[1]['instance']}"
    actions: Any = env.unwrapped
    for turn in range(TURNS):
        image, again = (result["image"] for result in results)
        if image.tobytes() != again.tobytes() or results[0]["text"] != results[1]["text"]:
            return f"the same seed and actions gave another picture or text at {place}"
        vocabulary = actions.vocabulary
        action = vocabulary[hashed(f"{seed}|{turn}|repeat") % len(vocabulary)]
        steps = [e.step(vlbench.reply(action)) for e in (env, other)]
        place = f'turn {turn + 1} ("{action}") of {first[1]["instance"]}'
        if steps[0][1:4] != steps[1][1:4]:
            return f"the same seed and actions gave another reward or end at {place}"
        results = (steps[0][0], steps[1][0])
        if steps[0][2] or steps[0][3]:
            break
    return ""
