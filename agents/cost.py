"""Money: what replies cost, what a run may cost, and the estimate that comes before it."""

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium

import vlbench
from vlbench.prompts import CHARACTERS_PER_TOKEN
from vlbench.recorder import EpisodeRecorder
from vlbench.records import Reply
from vlbench.suites import Row

PICTURE_TOKENS = 300
"""For a picture of 300×300; providers count 85 to 258, so that the estimate errs upwards."""
REPLY_TOKENS = 150
SECONDS_PER_CALL = 3.0
"""Assumed for the estimate; the last three are what the cot prompts come to with such models."""


@dataclass(frozen=True, slots=True)
class Price:
    """What tokens cost, in USD per million."""

    prompt: float
    completion: float

    @classmethod
    def parse(cls, text: str) -> "Price":
        """Read "in,out".

        Raises:
            ValueError: It isn't two numbers from 0.
        """
        try:
            price = cls(*map(float, text.split(",")))
        except (TypeError, ValueError):
            price = cls(-1, -1)
        if not (0 <= price.prompt < float("inf") and 0 <= price.completion < float("inf")):
            raise ValueError(
                f'must be IN,OUT in USD per million tokens, as in 2.50,10; got "{text}"'
            )
        return price

    def usd(self, prompt_tokens: float, completion_tokens: float) -> float:
        """Return what tokens cost."""
        return (prompt_tokens * self.prompt + completion_tokens * self.completion) / 1e6

    def of(self, reply: Reply) -> float | None:
        """Return what a reply cost; None where its tokens aren't known."""
        if reply.prompt_tokens is None or reply.completion_tokens is None:
            return None
        return self.usd(reply.prompt_tokens, reply.completion_tokens)


class Budget:
    """Counts what a run costs, and says when it may not go on.

    Calls that are under way are counted at what a call is expected to cost, so that the replies
    that are still to come don't lift the run over its limit.

    Args:
        price: Price of tokens; None where it isn't known: then replies have no price either.
        max_usd: What the run may cost, its earlier parts included; None for any sum.
        expected: What a call costs before any was answered, in USD.
    """

    def __init__(
        self, price: Price | None = None, max_usd: float | None = None, expected: float = 0.0
    ) -> None:
        self.price = price
        self.max_usd = max_usd
        self.spent = 0.0
        self._dearest = expected
        self._asking = 0

    def begin(self) -> bool:
        """Return whether a call may be made, and count it as under way."""
        if self.price is not None and self.max_usd is not None:
            if self.spent + (self._asking + 1) * self._dearest > self.max_usd:
                return False
        self._asking += 1
        return True

    def end(self, reply: Reply | None) -> Reply | None:
        """Count a call that is over, and return its reply with what it cost."""
        self._asking -= 1
        if reply is None or self.price is None:
            return reply
        if reply.usd is None:
            usd = self.price.of(reply)
            source = "" if usd is None else "price"
            reply = dataclasses.replace(reply, usd=usd, usd_source=source)
        self._dearest = max(self._dearest, reply.usd or 0.0)
        self.spent += reply.usd or 0.0
        return reply

    def include(self, replies: Iterable[Reply]) -> None:
        """Count the replies of the run's earlier parts."""
        for reply in replies:
            usd = reply.usd
            if usd is None and self.price is not None:
                usd = self.price.of(reply)
            self.spent += usd or 0.0

    @property
    def stop(self) -> str:
        """Say why the run stopped."""
        return (
            f"stopped at {self.spent:.2f} USD: another call could cost more than the "
            f"{self.max_usd:g} USD of --max-usd"
        )


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run is going to take, at least and at most; rough."""

    calls: tuple[int, int]
    """If every episode goes as the expert plays it, and if every one goes to its last turn."""
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

    def line(self, price: Price | None, slots: int, rpm: float | None) -> str:
        """Return it as a line.

        Args:
            price: Price of tokens, if it is known.
            slots: Calls at once.
            rpm: Calls a minute, at most.
        """
        pace = max(SECONDS_PER_CALL / slots, 60 / rpm if rpm else 0.0)
        prompt, completion = (
            [n * t / 1e6 for n in self.calls] for t in (self.prompt_tokens, self.completion_tokens)
        )
        money = "money unknown (no price; see --price)"
        if price is not None:
            money = "{:.2f} to {:.2f} USD".format(*self.usd(price))
            money += f" at {price.prompt:g} in, {price.completion:g} out per million tokens"
        minutes = [n * pace / 60 for n in self.calls]
        return (
            f"estimate: {self.calls[0]} to {self.calls[1]} calls, {prompt[0]:.2f} to "
            f"{prompt[1]:.2f} M prompt and {completion[0]:.2f} to {completion[1]:.2f} M completion "
            f"tokens, {money}, {minutes[0]:.0f} to {minutes[1]:.0f} min at {SECONDS_PER_CALL:g} s "
            f"a call and {slots} at once"
        )


def estimate(rows: Sequence[Row], journaled: int = 0, history: int = 0) -> Estimate:
    """Estimate a run.

    The first rows of each environment are played by its expert, to know how long episodes are.

    Args:
        rows: Episodes that are to be played.
        journaled: Replies that needn't be asked for again.
        history: Past turns that are sent with each call.
    """
    low = high = characters = 0.0
    for env_id in dict.fromkeys(row.env_id for row in rows):
        of_env = [row for row in rows if row.env_id == env_id]
        shortest, longest, length = _episodes(of_env[:3])
        low += shortest * len(of_env)
        high += longest * len(of_env)
        characters += longest * len(of_env) * length
    calls = (max(round(low) - journaled, 0), max(round(high) - journaled, 0))
    shown = characters / high / CHARACTERS_PER_TOKEN + PICTURE_TOKENS
    prompt = shown + history * (shown + REPLY_TOKENS)
    return Estimate(calls, round(prompt), REPLY_TOKENS)


def _episodes(rows: Sequence[Row]) -> tuple[float, float, float]:
    """Return the expert's mean turns, the turn limit, and the length of a prompt."""
    turns, limit, length = 0, 1, 0
    for row in rows:
        env: gymnasium.Env[Any, str] = gymnasium.make(row.env_id, **row.kwargs)
        recording = EpisodeRecorder(env, row)
        inner: Any = env.unwrapped
        limit = max(limit, getattr(inner, "turns_left", 1))
        length = max(length, len(recording.observation["text"]))
        turns += _expert_turns(recording, limit)
        env.close()
    return turns / len(rows), limit, length


def _expert_turns(recording: EpisodeRecorder, limit: int) -> int:
    inner: Any = recording.env.unwrapped
    if not hasattr(inner, "expert"):
        return limit
    turns, over = 0, False
    while not over and turns < limit:
        _, _, terminated, truncated, _ = recording.env.step(vlbench.reply(inner.expert()))
        over = bool(terminated or truncated)
        turns += 1
    return turns
