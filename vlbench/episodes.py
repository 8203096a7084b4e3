"""Episode records: what was shown, what was replied, what came of it; and playing one into being.

Records hold texts, hashes and numbers, never pictures and never keys. A `Recording` is the only
code that turns replies into turns: the harness plays through it, and so does replay, so that a
record and its replay can be compared field by field.
"""

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast, runtime_checkable

import gymnasium

from vlbench.env import Claims
from vlbench.instances import Row
from vlbench.parsing import Json, parse

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
        raise ValueError(f"{kind.__name__}.{name} must be {getattr(wanted, '__name__', wanted)}, "
                         f"got {value!r:.60}")  # fmt: skip
    items: Any = value.values() if isinstance(value, dict) else value
    if wanted in _ITEMS and items and not all(isinstance(i, _ITEMS[wanted]) for i in items):
        raise ValueError(f"{kind.__name__}.{name} must be {wanted}, got {value!r:.60}")
    if float in allowed and isinstance(value, (int, float)):
        if not abs(value) <= MAX_FLOAT:
            raise ValueError(f"{kind.__name__}.{name} must be a finite number")
        return float(value)
    return value


@runtime_checkable
class Judged(Protocol):
    """What an environment offers besides Gymnasium's contract, so that turns can be judged."""

    vocabulary: tuple[str, ...]

    def expert(self) -> str:
        """Return the expert's action."""

    def values(self) -> dict[str, float]:
        """Return the optimal return after each legal action."""

    def claims(self, fields: Mapping[str, Json]) -> Claims:
        """Hold a reply's fields against the truth."""

    def state_hash(self) -> str:
        """Return the sha256 of the state."""


def sha256(data: bytes) -> str:
    """Return the hex digest."""
    return hashlib.sha256(data).hexdigest()


class Recording:
    """An episode being played: replies in, turns out.

    Args:
        env: The environment; it is reset here.
        row: Where the episode starts. A row without an instance starts from its seed.
        number: The row's number in its suite.
        repeat: Which repetition of the row.

    Raises:
        ValueError: The environment draws another first frame than the row was frozen with.
    """

    def __init__(
        self, env: gymnasium.Env[Any, str], row: Row, number: int = 0, repeat: int = 0
    ) -> None:
        options = {"instance": row.instance, "presentation": row.presentation}
        seed = row.seed if row.seed is not None else _episode_seed(row, repeat)
        self.observation, self.info = env.reset(
            seed=seed, options=options if row.instance else None
        )
        """What the environment gave last; the info is no part of the record."""
        self.env = env
        self.row = row
        self.number = number
        self.repeat = repeat
        self.instance = str(self.info["instance"])
        self.presentation = int(self.info["presentation"])
        self.turns: list[Turn] = []
        self.end = ""
        self.success = False
        inner = env.unwrapped
        self._judge = inner if isinstance(inner, Judged) else None
        self._shown = self._hashes()
        if row.frame and row.frame != self._shown["frame"]:
            raise ValueError(
                f"{row.env_id} draws {row.instance} (presentation {row.presentation}) differently "
                f"than it was frozen: wanted frame {row.frame[:12]}…, got "
                f"{self._shown['frame'][:12]}…; reinstall the version that the set belongs to"
            )

    def play(self, reply: Reply) -> Turn:
        """Step the environment with a reply and record the turn."""
        reply = reply.bounded()
        shown = self._shown
        judge = self._judge
        values = judge.values() if judge else {}
        expert = judge.expert() if judge else ""
        vocabulary = judge.vocabulary if judge else ()
        parsed = parse(reply.text, vocabulary)
        claims = judge.claims(parsed.fields) if judge else Claims()
        strict = parse(reply.text, vocabulary, level="strict").action == parsed.action
        self.observation, reward, terminated, truncated, info = self.env.step(reply.text)
        self.info = info
        self.end = "terminated" if terminated else "truncated" if truncated else ""
        self.success = bool(info["success"])
        regret = None
        if judge:
            moved = info["action"] in values and not info["illegal"]
            left = 0.0 if self.end else max(judge.values().values())
            regret = max(values.values()) - (
                values[info["action"]] if moved else float(reward) + left
            )
        turn = Turn(
            **shown,
            reply=reply,
            reply_hash=sha256(reply.text.encode()),
            status=str(info["status"]),
            recovered=bool(info["recovered"]),
            action=str(info["action"]),
            illegal=bool(info["illegal"]),
            reward=float(cast(float, reward)),
            expert=expert,
            regret=regret,
            cause=_cause(info, regret, claims),
            strict=strict,
        )
        self.turns.append(turn)
        self._shown = self._hashes()
        return turn

    def episode(self, error: str = "") -> Episode:
        """Return the record; `error` says why the episode couldn't be played to its end."""
        return Episode(
            schema=SCHEMA,
            env_id=self.row.env_id,
            kwargs=self.row.kwargs,
            instance=self.instance,
            presentation=self.presentation,
            seed=self.row.seed,
            row=self.number,
            repeat=self.repeat,
            turns=tuple(self.turns),
            end="errored" if error else self.end,
            success=self.success,
            final_state=self._shown["state"],
            final_frame=self._shown["frame"],
            error=error,
        )

    def _hashes(self) -> dict[str, str]:
        return {
            "prompt": sha256(self.observation["text"].encode()),
            "frame": sha256(self.observation["image"].tobytes()),
            "state": self._judge.state_hash() if self._judge else "",
        }


def _episode_seed(row: Row, repeat: int) -> int:
    """Return the seed that random players draw from; it doesn't change what is shown."""
    key = f"{row.instance}|{row.presentation}|{repeat}"
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big")


def _cause(info: Mapping[str, Any], regret: float | None, claims: Claims) -> str:
    if info["status"] != "ok":
        return "format"
    if not info["illegal"] and (regret is None or regret < 1e-9):
        return ""
    if claims.perception is False:
        return "perception"
    if claims.plan is not None and claims.plan != info["action"]:
        return "slip"
    return "decision" if claims.perception else "unattributed"
