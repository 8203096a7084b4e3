"""The record of an episode: its turns, its end, and what failed."""

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Any

from vlbench.instances import MAX_PRESENTATION
from vlbench.limits import OPTIONAL_SHA256, Line, OneOf, Range, Size
from vlbench.suites import Row

SCHEMA = 2
"""Version of the records; it increases whenever the meaning of a field changes."""

MAX_REPLY = 1 << 20
"""Longest text and longest reasoning of a recorded reply, in bytes of UTF-8; the rest is cut."""

LONGEST_CHARACTER = 4
"""Bytes of the longest character of UTF-8."""

MAX_NOTE = 2000
"""Longest finish reason and longest message of a provider, in bytes of UTF-8; the rest is cut."""

MAX_ERROR = 500
"""Longest error of an episode, in characters."""

MAX_TURNS = 100_000
"""Most turns of a recorded episode."""

STOP_REASONS = ("stop", "length", "refused", "oversize")
USD_SOURCES = ("", "provider", "price")
FAILURES = ("", "provider", "agent", "environment", "player", "secret")
ENDS = ("terminated", "truncated", "errored")

Count = Annotated[int, Range(0, 10**9)]
OptionalCount = Annotated[int | None, Range(0, 10**9)]
Note = Annotated[str, Size(MAX_NOTE)]

CAUSES = ("perception", "decision", "inconsistent", "format", "unattributed")
"""Why a turn was suboptimal. "perception": the reply misread the picture; "decision": it read the
picture correctly but chose badly; "inconsistent": its action isn't the one it planned; "format": it
couldn't be read; "unattributed": it doesn't say enough."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The text that the model wrote, and its cost."""

    text: Annotated[str, Size(MAX_REPLY)]
    """As the model wrote it."""
    stop_reason: Annotated[str, OneOf(STOP_REASONS)] = "stop"
    """"stop", "length", "refused" (played as an empty text), or "oversize" (cut at MAX_REPLY)."""
    finish_reason: Note = ""
    """The provider's own finish reason; "" if it gives none."""
    provider_message: Note = ""
    """Any other message of the provider, e.g. why it refused."""
    reasoning: Annotated[str, Size(MAX_REPLY)] = ""
    """Reasoning that the provider returns apart from the text. It is never parsed."""
    prompt_tokens: OptionalCount = None
    """Tokens of the whole request; None if unknown."""
    completion_tokens: OptionalCount = None
    """Tokens of the reply, including its reasoning; None if unknown."""
    usd: Annotated[float | None, Range(0, 1e6)] = None
    """Cost in US dollars; None if unknown. It is a single amount; `usd_source` says where it comes
    from."""
    usd_source: Annotated[str, OneOf(USD_SOURCES)] = ""
    """"provider" (reported with the reply), "price" (tokens times the run's price), or "" (set by
    the agent, or unknown)."""
    seconds: Annotated[float, Range(0, 1e7)] = 0.0
    """Time from the first attempt to the reply, including retries."""
    retries: Annotated[int, Range(0, 10_000)] = 0
    """Number of repeated requests."""
    provider_id: Note = ""
    """The provider's id of the reply; of a local model's reply, `ModelInfo.mark`."""

    def check(self) -> None:
        """Check that the fields agree with each other.

        Raises:
            ValueError: They don't; names the field.
        """
        if self.stop_reason == "refused" and self.text:
            raise ValueError(f'Reply.text must be "" where it was refused, got {self.text!r:.60}')
        if self.stop_reason == "oversize" and len(self.text.encode("utf-8", "replace")) < (
            MAX_REPLY - LONGEST_CHARACTER
        ):
            raise ValueError(f"Reply.text must be cut at {MAX_REPLY} bytes where it was oversize")
        if self.usd_source and self.usd is None:
            raise ValueError(f'Reply.usd must be a number, since usd_source is "{self.usd_source}"')

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
    """sha256 of the environment's picture of the state, whatever the agent was shown."""
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
    cause: Annotated[str, OneOf(("", *CAUSES))]
    """One of CAUSES if the turn was suboptimal, else ""."""
    strict: bool
    """Whether the strict level (the whole text is one JSON object) reads the same action."""
    seen_hash: Annotated[str, OPTIONAL_SHA256] = ""
    """sha256 of the picture that the agent was shown, in a control; "" if it was the frame."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Details of an error that ended an episode, besides its message."""

    kind: Annotated[str, OneOf(FAILURES)] = ""
    """What failed: "provider", "agent", "environment", "player" (a person gave up), or "secret"
    (the reply contained an API key and wasn't recorded); "" if unknown."""
    status: Annotated[int | None, Range(100, 599)] = None
    """The provider's HTTP status."""
    finish_reason: Note = ""
    """As in `Reply`."""
    provider_message: Note = ""
    """As in `Reply`."""
    place: Note = ""
    """Location in the user's own code, as "file:line"."""
    reply_hash: Annotated[str, OPTIONAL_SHA256] = ""
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
    presentation: Annotated[int, Range(0, MAX_PRESENTATION - 1)]
    """As in `Row`."""
    seed: int | None
    """Seed of the reset; None if the episode starts from a row with an instance."""
    row: Count
    """Number of the row in its suite."""
    repeat: Count
    """Number of the repetition of the row in this run, from 0."""
    turns: Annotated[tuple[Turn, ...], Size(MAX_TURNS)]
    """The turns, in order."""
    end: Annotated[str, OneOf(ENDS)]
    """"terminated", "truncated", or "errored" (the agent or its provider failed)."""
    success: bool
    """Whether the task was solved, by the environment's rule."""
    final_state_hash: str
    """sha256 of the state after the last turn; "" if the episode failed before its first frame."""
    final_frame_hash: str
    """sha256 of the picture after the last turn; "" likewise."""
    error: Annotated[str, Line(MAX_ERROR)] = ""
    """The error of an errored episode, as one line."""
    failure: Failure = Failure()
    """Details of that error."""

    def check(self) -> None:
        """Check that the fields agree with each other.

        Raises:
            ValueError: They don't; names the field.
        """
        if self.end == "errored" and not self.error:
            raise ValueError("Episode.error must say what failed, got ''")

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
