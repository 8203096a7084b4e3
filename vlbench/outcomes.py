"""Recorded outcomes of frozen rows, by which a run notices that a task's rules have changed.

Beside each frozen set, `outcomes/<suite>.jsonl` holds one line a row: what two fixed sequences of
actions earned when the set was frozen. One is the expert's, if the task has one. The other begins
with an unreadable reply and goes on with actions drawn by hash, legal or not.
"""

import json
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import gymnasium

import vlbench
from vlbench.errors import user_code
from vlbench.instances import hashed
from vlbench.suites import Row, outcomes_file

DRAWN_ACTIONS = 24
"""Most actions of the second sequence, after its unreadable reply. Most tasks are truncated before
that, so that a changed turn limit shows too."""

STATE_DIGITS = 16
"""Hex digits of the state's sha256 that are recorded."""

CHECK_SECONDS = 0.5
"""`check_outcomes` begins no further row after this time; it checks at least one."""

Choose = Callable[[Any, int], str | None]
"""A player: (environment, turn) → an action, "" for an unreadable reply, or None to stop."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A sequence of actions from a frozen row, and what it earned."""

    actions: tuple[str, ...]
    """The actions; "" is an unreadable reply."""
    rewards: tuple[float, ...]
    """The reward of each."""
    end: str
    """"terminated", "truncated", or "" if the episode goes on."""
    success: bool
    """Whether the goal was reached."""
    state: str
    """First hex digits of the last state's sha256; "" if the environment has no `state_hash`."""

    def difference(self, now: "Outcome") -> str:
        """Return the first difference of the same actions' outcome now; "" if there is none."""
        for number, (before, after) in enumerate(zip(self.rewards, now.rewards, strict=False)):
            if before != after:
                action = self.actions[number] or "an unreadable reply"
                return f"turn {number + 1} ({action}) earned {before:g}, now {after:g}"
        if len(now.rewards) < len(self.rewards):
            return f"{now.end} after {len(self.rewards)} turns, now after {len(now.rewards)}"
        for name in ("end", "success", "state"):
            before, after = getattr(self, name), getattr(now, name)
            if before != after:
                return f"{name} after {len(self.actions)} turns was {before!r}, now {after!r}"
        return ""


def play_row(env: gymnasium.Env[Any, str], row: Row, choose: Choose) -> Outcome:
    """Play a row until it ends or the player stops."""
    _, info = env.reset(seed=0, options=row.options)
    actions, rewards = list[str](), list[float]()
    end, success = "", bool(info["success"])
    inner: Any = env.unwrapped
    while not end:
        action = choose(inner, len(actions))
        if action is None:
            break
        reply = vlbench.reply(action) if action else ""
        _, reward, terminated, truncated, info = env.step(reply)
        actions.append(action)
        rewards.append(float(reward))
        success = bool(info["success"])
        end = "terminated" if terminated else "truncated" if truncated else ""
    state = inner.state_hash()[:STATE_DIGITS] if hasattr(inner, "state_hash") else ""
    return Outcome(tuple(actions), tuple(rewards), end, success, state)


def row_outcomes(env: gymnasium.Env[Any, str], row: Row) -> tuple[Outcome, ...]:
    """Return a row's outcomes: the expert's if there is one, and those of actions drawn by hash."""

    def draw(inner: Any, turn: int) -> str | None:
        if turn == 0:
            return ""
        actions = inner.vocabulary
        key = f"{row.instance}|{row.presentation}|outcome/{turn}"
        return None if turn > DRAWN_ACTIONS else str(actions[hashed(key) % len(actions)])

    drawn = play_row(env, row, draw)
    if not hasattr(env.unwrapped, "expert"):
        return (drawn,)
    return play_row(env, row, lambda inner, turn: str(inner.expert())), drawn


def write_outcomes(path: Path, rows: Sequence[Row]) -> None:
    """Play a set's rows and write their outcomes, one line a row."""
    path.parent.mkdir(exist_ok=True)
    lines = []
    with _Envs() as envs:
        for row in rows:
            outcomes = [asdict(outcome) for outcome in row_outcomes(envs.of(row), row)]
            lines.append(json.dumps(outcomes, separators=(",", ":")))
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")


def read_outcomes(env_id: str, suite: str) -> tuple[tuple[Outcome, ...], ...]:
    """Return the outcomes of each row of a set, in order; () if none were recorded.

    Raises:
        ValueError: The file is damaged.
    """
    file = outcomes_file(env_id, suite)
    lines = [] if file is None else file.read_text("utf-8").splitlines()
    try:
        return tuple(tuple(map(_outcome, json.loads(line))) for line in lines)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise ValueError(f"the outcomes of {suite} of {env_id} are damaged: {error}") from error


def _outcome(data: dict[str, Any]) -> Outcome:
    return Outcome(tuple(data.pop("actions")), tuple(data.pop("rewards")), **data)


def check_outcomes(env_id: str, suite: str, rows: Sequence[Row]) -> None:
    """Play the recorded actions of some rows of a set again.

    Args:
        env_id: The environment.
        suite: The set.
        rows: The set's first rows, as a run plays them. They are checked in a mixed order until
            CHECK_SECONDS are over. One whose environment raises is left to the run, which records
            the error.

    Raises:
        ValueError: A row has another outcome than when the set was frozen.
    """
    recorded = read_outcomes(env_id, suite)
    order = sorted(range(min(len(rows), len(recorded))), key=lambda n: hashed(f"order/{n}"))
    start = time.monotonic()
    with _Envs() as envs:
        for number in order:
            for outcome in recorded[number]:
                if difference := _difference_now(envs, rows[number], outcome):
                    raise ValueError(
                        f"its set {suite} was frozen under other rules: from "
                        f"{rows[number].instance}, {difference}; install the version that froze "
                        "it, or register other rules under an id of their own"
                    )
            if time.monotonic() - start > CHECK_SECONDS:
                break


def _difference_now(envs: "_Envs", row: Row, outcome: Outcome) -> str:
    """Play an outcome's actions again; return the difference, "" if the environment raises."""
    actions = dict(enumerate(outcome.actions))
    with suppress(ValueError), user_code():
        now = play_row(envs.of(row), row, lambda inner, turn: actions.get(turn))
        return outcome.difference(now)
    return ""


class _Envs(ExitStack):
    """One environment for each `Row.env_key`; all are closed at the end."""

    def __init__(self) -> None:
        super().__init__()
        self._envs: dict[str, gymnasium.Env[Any, str]] = {}

    def of(self, row: Row) -> gymnasium.Env[Any, str]:
        """Return the environment of a row."""
        if row.env_key not in self._envs:
            env = gymnasium.make(row.env_id, **row.kwargs)
            self._envs[row.env_key] = self.enter_context(closing(env))
        return self._envs[row.env_key]
