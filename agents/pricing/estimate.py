"""Estimate a run before it starts: calls, tokens, money and time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium

import vlbench
from agents.pricing.cost import Price
from vlbench.display.formatting import number
from vlbench.prompts import CHARACTERS_PER_TOKEN
from vlbench.recorder import EpisodeRecorder
from vlbench.suites import Row

# What the cot prompts come to with models of 2026.
PICTURE_TOKENS = 300
"""Tokens of a 300×300 picture. Providers count 85 to 258, so the estimate errs upwards."""
REPLY_TOKENS = 150
"""Tokens of a reply."""
SECONDS_PER_CALL = 3.0
"""Latency of a call."""

SAMPLES = 3
"""Rows of each environment that its expert plays."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A rough estimate of a run, from least to most."""

    calls: tuple[int, int]
    """If every episode is as long as the expert's, and if every one uses all its turns."""
    prompt_tokens: int
    """Of a call."""
    completion_tokens: int
    """Of a call."""

    def usd(self, price: Price) -> tuple[float, float]:
        """Return the money."""
        low, high = (n * self.call_usd(price) for n in self.calls)
        return low, high

    def call_usd(self, price: Price) -> float:
        """Return the money for a call."""
        return price.usd(self.prompt_tokens, self.completion_tokens)

    def minutes(self, slots: int, rpm: float | None) -> tuple[float, float]:
        """Return the time.

        Args:
            slots: Calls at once.
            rpm: Calls a minute, at most.
        """
        pace = max(SECONDS_PER_CALL / slots, 60 / rpm if rpm else 0.0)
        low, high = (n * pace / 60 for n in self.calls)
        return low, high

    def work(self) -> str:
        """Return calls and tokens."""
        prompt, completion = (
            [n * t / 1e6 for n in self.calls] for t in (self.prompt_tokens, self.completion_tokens)
        )
        return (
            f"estimate: {calls_text(self.calls)}, {spread(prompt, 2)} M prompt and "
            f"{spread(completion, 2)} M completion tokens"
        )

    def line(self, price: Price | None, slots: int, rpm: float | None) -> str:
        """Return it as a line.

        Args:
            price: Price of tokens, if it is known.
            slots: Calls at once.
            rpm: Calls a minute, at most.
        """
        money = "money unknown (no price; see --price)"
        if price is not None:
            money = f"{spread(self.usd(price), 2)} USD"
            money += f" at {price.prompt:g} in, {price.completion:g} out per million tokens"
        minutes = spread(self.minutes(slots, rpm))
        return (
            f"{self.work()}, {money}, {minutes} min at {SECONDS_PER_CALL:g} s a call and {slots} "
            "at once"
        )


def spread(ends: Sequence[float], digits: int = 0) -> str:
    """Return the least and the most, as in "5 to 12"; one number where both are written alike."""
    low, high = (number(end, digits) for end in ends)
    return low if low == high else f"{low} to {high}"


def calls_text(calls: Sequence[float]) -> str:
    """Return the least and the most calls, as in "5 to 12 calls" and "1 call"."""
    text = spread(calls)
    return f"{text} {'call' if text == '1' else 'calls'}"


def estimate(rows: Sequence[Row], journaled: int = 0, history: int = 0) -> Estimate:
    """Estimate a run.

    The expert of each environment plays a few rows, which shows how long episodes are.

    Args:
        rows: Episodes that are to be played.
        journaled: Replies that needn't be asked for again.
        history: Past turns that are sent with each call.
    """
    low = high = characters = 0.0
    for env_id in dict.fromkeys(row.env_id for row in rows):
        env_rows = [row for row in rows if row.env_id == env_id]
        sample = _sample(env_rows[:SAMPLES])
        low += sample.turns * len(env_rows)
        high += sample.limit * len(env_rows)
        characters += sample.limit * len(env_rows) * sample.characters
    calls = (max(round(low) - journaled, 0), max(round(high) - journaled, 0))
    observation = characters / high / CHARACTERS_PER_TOKEN + PICTURE_TOKENS
    prompt = observation + history * (observation + REPLY_TOKENS)
    return Estimate(calls, round(prompt), REPLY_TOKENS)


@dataclass(frozen=True, slots=True)
class _Sample:
    """Measurements on a few episodes of an environment."""

    turns: float
    """Mean number that the expert needs; the limit where there is no expert."""
    limit: int
    """Most turns of an episode."""
    characters: int
    """Of the longest prompt."""


def _sample(rows: Sequence[Row]) -> _Sample:
    turns, limit, characters = 0, 1, 0
    for row in rows:
        env: gymnasium.Env[Any, str] = gymnasium.make(row.env_id, **row.kwargs)
        recorder = EpisodeRecorder(env, row)
        inner: Any = env.unwrapped
        limit = max(limit, getattr(inner, "turns_left", 1))
        characters = max(characters, len(recorder.observation["text"]))
        turns += _expert_turns(env, limit)
        env.close()
    return _Sample(turns / len(rows), limit, characters)


def _expert_turns(env: gymnasium.Env[Any, str], limit: int) -> int:
    inner: Any = env.unwrapped
    if not hasattr(inner, "expert"):
        return limit
    turns, over = 0, False
    while not over and turns < limit:
        _, _, terminated, truncated, _ = env.step(vlbench.reply(inner.expert()))
        over = bool(terminated or truncated)
        turns += 1
    return turns
