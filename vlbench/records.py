"""Episode records: what was shown, what was replied, and what came of it.

Records hold texts, hashes and numbers, never pictures and never keys. `vlbench.recorder` makes
them.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from vlbench.suites import Row

SCHEMA = 1
"""Version of the record; a change in any field's meaning is a new number."""

MAX_REPLY = 1 << 20
"""Longest reply that is recorded, in bytes of UTF-8; longer ones are cut there."""

CAUSES = ("perception", "decision", "slip", "format", "unattributed")
"""Why a turn was worse than the best one: the reply misread the picture; read it right and chose
badly; planned one action and gave another; couldn't be read; or doesn't say."""

MAX_FLOAT = 1e15
"""Largest number that a record may hold."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reply:
    """The text that the model wrote, and what it cost."""

    text: str
    stop_reason: str = "stop"
    """"stop", "length", "refused" (steps as empty text), "oversize" (cut at MAX_REPLY)."""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    usd: float | None = None
    """Money, or None where the price is unknown."""
    seconds: float = 0.0
    """From the first try to the reply, retries included."""
    retries: int = 0
    provider_id: str = ""

    def bounded(self) -> "Reply":
        """Return the reply as it is recorded.

        It is cut at MAX_REPLY, empty where it was refused, and lone surrogates are replaced,
        since no file can hold them.
        """
        if self.stop_reason == "refused" and self.text:
            return dataclasses.replace(self, text="")
        data = self.text.encode("utf-8", "replace")
        if len(data) <= MAX_REPLY:
            text = data.decode()
            return self if text == self.text else dataclasses.replace(self, text=text)
        cut = data[:MAX_REPLY].decode("utf-8", "ignore")
        return dataclasses.replace(self, text=cut, stop_reason="oversize")


@dataclass(frozen=True, slots=True)
class Turn:
    """One prompt, one reply, one step."""

    prompt: str
    """sha256 of the text that was shown."""
    frame: str
    """sha256 of the picture that was shown."""
    state: str
    """sha256 of the canonical state and presentation that were shown."""
    reply: Reply
    reply_hash: str
    """sha256 of the reply's text."""
    status: str
    recovered: bool
    action: str
    """The action that was read, "" if none."""
    illegal: bool
    reward: float
    expert: str
    """What the expert would have done; "" where the environment has no expert."""
    regret: float | None
    """Optimal return from here, less the best return that was left after this turn."""
    cause: str
    """One of CAUSES where the turn was worse than the best one, else ""."""
    strict: bool
    """Whether the strict level (the whole text is one JSON object) reads the same action."""


@dataclass(frozen=True, slots=True)
class Episode:
    """One episode from reset to end."""

    schema: int
    env_id: str
    kwargs: dict[str, Any]
    instance: str
    presentation: int
    seed: int | None
    """Seed of the reset, for environments whose episodes aren't named by instance."""
    row: int
    """Number of the row in its suite."""
    repeat: int
    turns: tuple[Turn, ...]
    end: str
    """"terminated", "truncated", or "errored" (the agent or its provider failed)."""
    success: bool
    final_state: str
    final_frame: str
    error: str = ""
    """What failed, for an errored episode."""

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


def to_json(record: Any) -> dict[str, Any]:
    """Return a record as plain data."""
    return dataclasses.asdict(record)


def from_json(kind: type[T], data: Any) -> T:
    """Rebuild a record from plain data.

    Raises:
        ValueError: A field is missing, unknown or of another type; the message names it.
    """
    if not isinstance(data, Mapping):
        raise ValueError(f"wanted an object for a {kind.__name__}, got {type(data).__name__}")
    hints = _field_types(kind)
    for name in data:
        if name not in hints:
            raise ValueError(f'{kind.__name__} has no field "{name}"')
    values: dict[str, Any] = {}
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        if field.name in data:
            values[field.name] = _read(kind, field.name, data[field.name])
        elif field.default is field.default_factory is dataclasses.MISSING:
            raise ValueError(f'{kind.__name__} lacks the field "{field.name}"')
    return kind(**values)


_NESTED: dict[tuple[str, str], type[Any]] = {("Turn", "reply"): Reply}
_PLAIN: dict[Any, tuple[type, ...]] = {
    int: (int,),
    str: (str,),
    bool: (bool,),
    float: (int, float),
    dict[str, Any]: (dict,),
    int | None: (int, type(None)),
    float | None: (int, float, type(None)),
    list[str]: (list,),
    list[float] | None: (list, type(None)),
    dict[str, str]: (dict,),
}
_ITEMS: dict[Any, tuple[type, ...]] = {
    list[str]: (str,),
    list[float] | None: (int, float),
    dict[str, str]: (str,),
}


def _field_types(kind: type[Any]) -> dict[str, Any]:
    return {field.name: field.type for field in dataclasses.fields(kind)}


def _read(kind: type[Any], name: str, value: Any) -> Any:
    if kind is Episode and name == "turns":
        if not isinstance(value, (list, tuple)):
            raise ValueError("Episode.turns must be a list")
        return tuple(from_json(Turn, turn) for turn in value)
    if (kind.__name__, name) in _NESTED:
        return from_json(_NESTED[kind.__name__, name], value)
    wanted = _field_types(kind)[name]
    allowed = _PLAIN[wanted]
    if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
        raise ValueError(
            f"{kind.__name__}.{name} must be {getattr(wanted, '__name__', wanted)}, "
            f"got {value!r:.60}"
        )
    items: Any = value.values() if isinstance(value, dict) else value
    if wanted in _ITEMS and items and not all(isinstance(i, _ITEMS[wanted]) for i in items):
        raise ValueError(f"{kind.__name__}.{name} must be {wanted}, got {value!r:.60}")
    if float in allowed and isinstance(value, (int, float)):
        if not abs(value) <= MAX_FLOAT:
            raise ValueError(f"{kind.__name__}.{name} must be a finite number")
        return float(value)
    return value
