"""The record of an episode: its turns, its end, and what failed."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from vlbench.suites import Row

SCHEMA = 2
"""Version of the records; it increases whenever the meaning of a field changes."""

MAX_REPLY = 1 << 20
"""Longest text and longest reasoning of a recorded reply, in bytes of UTF-8; the rest is cut."""

MAX_NOTE = 2000
"""Longest finish reason and longest message of a provider, in bytes of UTF-8; the rest is cut."""

CAUSES = ("perception", "decision", "inconsistent", "format", "unattributed")
"""Why a turn was suboptimal. "perception": the reply misread the picture; "decision": it read the
picture correctly but chose badly; "inconsistent": its action isn't the one it planned; "format": it
couldn't be read; "unattributed": it doesn't say enough."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The text that the model wrote, and its cost."""

    text: str
    """As the model wrote it."""
    stop_reason: str = "stop"
    """"stop", "length", "refused" (played as an empty text), or "oversize" (cut at MAX_REPLY)."""
    finish_reason: str = ""
    """The provider's own finish reason; "" if it gives none."""
    provider_message: str = ""
    """Any other message of the provider, e.g. why it refused."""
    reasoning: str = ""
    """Reasoning that the provider returns apart from the text. It is never parsed."""
    prompt_tokens: int | None = None
    """Tokens of the whole request; None if unknown."""
    completion_tokens: int | None = None
    """Tokens of the reply, including its reasoning; None if unknown."""
    usd: float | None = None
    """Cost in US dollars; None if unknown. It is a single amount; `usd_source` says where it comes
    from."""
    usd_source: str = ""
    """"provider" (reported with the reply), "price" (tokens times the run's price), or "" (set by
    the agent, or unknown)."""
    seconds: float = 0.0
    """Time from the first attempt to the reply, including retries."""
    retries: int = 0
    """Number of repeated requests."""
    provider_id: str = ""
    """The provider's id of the reply; of a local model's reply, `ModelInfo.mark`."""

    def bounded(self) -> "Reply":
        """Return the reply in the form that is recorded.

        Texts are cut to their limits, the text of a refused reply is empty, and lone surrogates are
        replaced because files can't hold them.
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
    """Return a text without lone surrogates, cut to `limit` bytes of UTF-8."""
    return text.encode("utf-8", "replace")[:limit].decode("utf-8", "ignore")


@dataclass(frozen=True, slots=True)
class Turn:
    """One prompt, one reply, one step."""

    prompt_hash: str
    """sha256 of the text of the observation."""
    frame_hash: str
    """sha256 of the picture of the observation."""
    state_hash: str
    """sha256 of the canonical state and the presentation before the reply."""
    reply: Reply
    """The agent's reply."""
    reply_hash: str
    """sha256 of the reply's text."""
    status: str
    """Result of parsing: "ok", "unknown", "malformed", "truncated" or "empty"."""
    recovered: bool
    """Whether the parser could read the reply only leniently."""
    action: str
    """The action that was read; "" if none."""
    illegal: bool
    """Whether that action is illegal in the state."""
    reward: float
    """Reward of the turn."""
    expert: str
    """The expert's action; "" if the environment has no expert."""
    regret: float | None
    """Optimal return from here, minus the best return still possible with this turn."""
    cause: str
    """One of CAUSES if the turn was suboptimal, else ""."""
    strict: bool
    """Whether the strict level (the whole text is one JSON object) reads the same action."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Details of an error that ended an episode, besides its message."""

    kind: str = ""
    """What failed: "provider", "agent", "environment", "player" (a person gave up), or "secret"
    (the reply contained an API key and wasn't recorded); "" if unknown."""
    status: int | None = None
    """The provider's HTTP status."""
    finish_reason: str = ""
    """As in `Reply`."""
    provider_message: str = ""
    """As in `Reply`."""
    place: str = ""
    """Location in the user's own code, as "file:line"."""
    reply_hash: str = ""
    """sha256 of the text of a reply that wasn't recorded."""

    def bounded(self) -> "Failure":
        """Return the failure in the form that is recorded, with texts cut to their limits."""
        return dataclasses.replace(
            self,
            finish_reason=_cut(self.finish_reason, MAX_NOTE),
            provider_message=_cut(self.provider_message, MAX_NOTE),
        )


@dataclass(frozen=True, slots=True)
class Episode:
    """One episode from reset to end."""

    schema: int
    """SCHEMA of the version that recorded it."""
    env_id: str
    """A registered id."""
    kwargs: dict[str, Any]
    """Keyword arguments of the environment."""
    instance: str
    """The canonical start."""
    presentation: int
    """As in `Row`."""
    seed: int | None
    """Seed of the reset; None if the episode starts from a row with an instance."""
    row: int
    """Number of the row in its suite."""
    repeat: int
    """Number of the repetition of the row in this run, from 0."""
    turns: tuple[Turn, ...]
    """The turns, in order."""
    end: str
    """"terminated", "truncated", or "errored" (the agent or its provider failed)."""
    success: bool
    """Whether the task was solved, by the environment's rule."""
    final_state_hash: str
    """sha256 of the state after the last turn; "" if the episode failed before its first frame."""
    final_frame_hash: str
    """sha256 of the picture after the last turn; "" likewise."""
    error: str = ""
    """The error of an errored episode, as one line."""
    failure: Failure = Failure()
    """Details of that error."""

    @property
    def start(self) -> Row:
        """The row from which it can be played again."""
        return Row(self.env_id, self.kwargs, self.instance, self.presentation, seed=self.seed)

    @property
    def is_errored(self) -> bool:
        """Whether the agent, its provider or the environment failed."""
        return self.end == "errored"

    @property
    def is_success(self) -> bool:
        """Whether it counts as a success; an errored episode never does."""
        return self.success and not self.is_errored

    @property
    def total(self) -> float:
        """Undiscounted return."""
        return sum((turn.reward for turn in self.turns), 0.0)

    @property
    def key(self) -> str:
        """Key of the episode within a run."""
        return episode_key(self.env_id, self.row, self.repeat)


def episode_key(env_id: str, row: int, repeat: int) -> str:
    """Return "<env id>#<row>/<repeat>"."""
    return f"{env_id}#{row}/{repeat}"
