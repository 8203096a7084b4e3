"""The record of an episode: its turns, its end, and what failed."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from vlbench.suites import Row

SCHEMA = 2
"""Version of the records; a change in any field's meaning is a new number."""

MAX_REPLY = 1 << 20
"""Longest reply that is recorded, and longest reasoning, in bytes of UTF-8; longer ones are cut."""

MAX_NOTE = 2000
"""Longest finish reason and longest message of a provider, in bytes of UTF-8."""

CAUSES = ("perception", "decision", "inconsistent", "format", "unattributed")
"""Why a turn was worse than the best one: the reply misread the picture; read it right and chose
badly; planned one action and gave another; couldn't be read; or doesn't say."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The text that the model wrote, and what it cost."""

    text: str
    """As the model wrote it."""
    stop_reason: str = "stop"
    """"stop", "length", "refused" (steps as empty text), "oversize" (cut at MAX_REPLY)."""
    finish_reason: str = ""
    """Why the provider says that the reply ended, in its own word; "" where it says nothing."""
    provider_message: str = ""
    """What the provider says besides, e.g. why it refused."""
    reasoning: str = ""
    """Reasoning that the provider gives apart from the text. It is never parsed."""
    prompt_tokens: int | None = None
    """Tokens of the whole request, or None where they aren't known."""
    completion_tokens: int | None = None
    """Tokens of the reply, with its reasoning, or None where they aren't known."""
    usd: float | None = None
    """Money, or None where it isn't known. There is one amount, so that sums need no rule of
    precedence; `usd_source` says whose it is."""
    usd_source: str = ""
    """"provider" (reported with the reply), "price" (tokens times the run's price), or "" (stated
    by the agent, or not known)."""
    seconds: float = 0.0
    """From the first try to the reply, retries included."""
    retries: int = 0
    """How often the request was made again."""
    provider_id: str = ""
    """The provider's name for the reply."""

    def bounded(self) -> "Reply":
        """Return the reply as it is recorded.

        Its texts are cut to their limits, the reply's own is empty where it was refused, and lone
        surrogates are replaced, since no file can hold them.
        """
        text = "" if self.stop_reason == "refused" else _cut(self.text, MAX_REPLY)
        cut = len(self.text.encode("utf-8", "replace")) > MAX_REPLY and bool(text)
        bounded = dataclasses.replace(
            self,
            text=text,
            stop_reason="oversize" if cut else self.stop_reason,
            finish_reason=_cut(self.finish_reason, MAX_NOTE),
            provider_message=_cut(self.provider_message, MAX_NOTE),
            reasoning=_cut(self.reasoning, MAX_REPLY),
        )
        return self if bounded == self else bounded


def _cut(text: str, limit: int) -> str:
    """Return a text without lone surrogates, in at most so many bytes of UTF-8."""
    return text.encode("utf-8", "replace")[:limit].decode("utf-8", "ignore")


@dataclass(frozen=True, slots=True)
class Turn:
    """One prompt, one reply, one step."""

    prompt_hash: str
    """sha256 of the text that was shown."""
    frame_hash: str
    """sha256 of the picture that was shown."""
    state_hash: str
    """sha256 of the canonical state and presentation that were shown."""
    reply: Reply
    """What was replied."""
    reply_hash: str
    """sha256 of the reply's text."""
    status: str
    """How the reply was read: "ok", "unknown", "malformed", "truncated" or "empty"."""
    recovered: bool
    """Whether it was read with leniency."""
    action: str
    """The action that was read, "" if none."""
    illegal: bool
    """Whether the state forbade that action."""
    reward: float
    """What the environment gave for the turn."""
    expert: str
    """What the expert would have done; "" where the environment has no expert."""
    regret: float | None
    """Optimal return from here, less the best return that was left after this turn."""
    cause: str
    """One of CAUSES where the turn was worse than the best one, else ""."""
    strict: bool
    """Whether the strict level (the whole text is one JSON object) reads the same action."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What is known of an error that ended an episode, besides its message."""

    kind: str = ""
    """Whose failure it was: "provider", "agent", "environment", "player" (a person gave up), or
    "secret" (the reply held a key and wasn't kept); "" where it isn't known."""
    status: int | None = None
    """The provider's HTTP status."""
    finish_reason: str = ""
    """As in `Reply`."""
    provider_message: str = ""
    """As in `Reply`."""
    place: str = ""
    """Where in the user's own code, as "file:line"."""
    reply_hash: str = ""
    """sha256 of the text of a reply that wasn't kept."""


@dataclass(frozen=True, slots=True)
class Episode:
    """One episode from reset to end."""

    schema: int
    """SCHEMA when it was recorded."""
    env_id: str
    """A registered id."""
    kwargs: dict[str, Any]
    """Keyword arguments of the environment."""
    instance: str
    """Its canonical start."""
    presentation: int
    """As in `Row`."""
    seed: int | None
    """Seed of the reset, for environments whose episodes aren't named by instance."""
    row: int
    """Number of the row in its suite."""
    repeat: int
    """How often the row was played before, in this run."""
    turns: tuple[Turn, ...]
    """In the order in which they were played."""
    end: str
    """"terminated", "truncated", or "errored" (the agent or its provider failed)."""
    success: bool
    """Whether the task was solved, by the environment's rule."""
    final_state_hash: str
    """sha256 of the state after the last turn; "" if the episode failed before its first frame."""
    final_frame_hash: str
    """sha256 of the picture after the last turn; "" likewise."""
    error: str = ""
    """What failed, for an errored episode, as one line."""
    failure: Failure = Failure()
    """What else is known of it."""

    @property
    def start(self) -> Row:
        """From where it can be played again."""
        return Row(self.env_id, self.kwargs, self.instance, self.presentation, seed=self.seed)

    @property
    def total(self) -> float:
        """Undiscounted return."""
        return sum((turn.reward for turn in self.turns), 0.0)

    @property
    def key(self) -> str:
        """Names the episode within a run."""
        return episode_key(self.env_id, self.row, self.repeat)


def episode_key(env_id: str, row: int, repeat: int) -> str:
    """Return "<env id>#<row>/<repeat>"."""
    return f"{env_id}#{row}/{repeat}"
