"""Play an episode and record it.

Only `EpisodeRecorder` turns replies into turns. The harness and replay both use it, so that a
record and its replay can be compared field by field.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import gymnasium

from vlbench.observation import PICTURES
from vlbench.parsing import NOTHING_READ, Json, Level, Parsed
from vlbench.records import SCHEMA, Episode, Failure, Reply, Turn
from vlbench.registry import registered_id
from vlbench.suites import Row
from vlbench.task import Statements


@runtime_checkable
class ReadingEnv(Protocol):
    """Optional method of an environment: parse a reply as `step` does."""

    def read(self, reply: str, level: Level = "standard") -> Parsed:
        """Parse a reply to the current state; at the standard level as `step` does."""


@runtime_checkable
class OracleEnv(ReadingEnv, Protocol):
    """Optional oracle methods; without them turns have no expert, regret or cause."""

    vocabulary: tuple[str, ...]

    def expert(self) -> str:
        """Return the expert's action."""

    def values(self) -> dict[str, float]:
        """Return the optimal return after each legal action."""

    def check_statements(self, fields: Mapping[str, Json]) -> Statements:
        """Check a reply's fields against the state."""

    def state_hash(self) -> str:
        """Return the sha256 of the state."""


@runtime_checkable
class ControlledEnv(Protocol):
    """Optional members of an environment whose observations may show another picture."""

    seen_facts: Mapping[str, Any]
    """The facts of the picture in the observation."""

    def frame_hash(self) -> str:
        """Return the sha256 of the true picture of the state."""


def sha256(data: bytes) -> str:
    """Return the sha256 as 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


class EnvCache(dict[str, gymnasium.Env[Any, str]]):
    """`Row.env_key` → environment, made on first use."""

    def of(self, row: Row) -> gymnasium.Env[Any, str]:
        """Return the environment of a row.

        Raises:
            ValueError: Its id isn't registered, or its keyword arguments open a window.
            TypeError, ValueError: The environment refuses its keyword arguments.
        """
        if row.env_key not in self:
            if "render_mode" in row.kwargs:
                raise ValueError(f"{row.env_id}: render_mode can't be an argument of a row")
            self[row.env_key] = gymnasium.make(registered_id(row.env_id), **row.kwargs)
        return self[row.env_key]


class EpisodeRecorder:
    """Plays replies in one episode and records its turns.

    Args:
        env: The environment; the recorder resets it.
        row: Where the episode starts. A row without an instance starts from its seed.
        number: The row's number in its suite.
        repeat: Number of the repetition of the row, from 0.

    Raises:
        ValueError: The first frame differs from the row's frozen frame.
    """

    def __init__(
        self, env: gymnasium.Env[Any, str], row: Row, number: int = 0, repeat: int = 0
    ) -> None:
        seed = row.seed if row.seed is not None else _episode_seed(row, repeat)
        self.observation, self.info = env.reset(seed=seed, options=row.options)
        """The latest observation and info; the info is not recorded."""
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
        self._reader = inner if isinstance(inner, ReadingEnv) else None
        self._judge = inner if isinstance(inner, OracleEnv) else None
        is_control = row.kwargs.get("picture", PICTURES[0]) != PICTURES[0]
        self._controlled = inner if is_control and isinstance(inner, ControlledEnv) else None
        self._hashes = self._hash_observation()
        if row.frame_hash not in ("", self._hashes["frame_hash"]):
            raise ValueError(
                f"{row.env_id} draws {row.instance} (presentation {row.presentation}) differently "
                f"than it was frozen: expected frame {row.frame_hash[:12]}…, got "
                f"{self._hashes['frame_hash'][:12]}…; install the version that froze the set"
            )

    def read(self, text: str, level: Level = "standard") -> Parsed:
        """Parse a reply as the environment does.

        If the environment has no `read`, the result is empty at both levels.
        """
        return self._reader.read(text, level) if self._reader else NOTHING_READ

    def play(self, reply: Reply) -> Turn:
        """Step the environment with a reply and record the turn."""
        reply = reply.bounded()
        hashes, seen_hash = self._hashes, self._seen_hash()
        judge = self._judge
        values = judge.values() if judge else {}
        expert = judge.expert() if judge else ""
        parsed = self.read(reply.text)
        statements = judge.check_statements(parsed.fields) if judge else Statements()
        strict = self.read(reply.text, "strict").action == parsed.action
        self.observation, reward, terminated, truncated, info = self.env.step(reply.text)
        self.info = info | {"hint": _hint(info, reply)}
        self.end = "terminated" if terminated else "truncated" if truncated else ""
        self.success = bool(info["success"])
        regret = None
        if judge:
            best_after = 0.0 if self.end else max(judge.values().values())
            regret = exact_regret(values, info, float(reward), best_after)
        turn = Turn(
            **hashes,
            reply=reply,
            reply_hash=sha256(reply.text.encode()),
            status=str(info["status"]),
            recovered=bool(info["recovered"]),
            action=str(info["action"]),
            illegal=bool(info["illegal"]),
            reward=float(reward),
            expert=expert,
            regret=regret,
            cause=_cause(info, regret, statements),
            strict=strict,
            seen_hash=seen_hash,
        )
        self.turns.append(turn)
        self._hashes = self._hash_observation()
        return turn

    def episode(self, error: str = "", failure: Failure | None = None) -> Episode:
        """Return the record.

        Args:
            error: Why the episode failed; "" if it didn't.
            failure: Details of that error.
        """
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
            final_state_hash=self._hashes["state_hash"],
            final_frame_hash=self._hashes["frame_hash"],
            error=error,
            failure=failure or Failure(),
        )

    def _hash_observation(self) -> dict[str, str]:
        return {
            "prompt_hash": sha256(self.observation["text"].encode()),
            "frame_hash": (
                self._controlled.frame_hash()
                if self._controlled
                else sha256(self.observation["image"].tobytes())
            ),
            "state_hash": self._judge.state_hash() if self._judge else "",
        }

    def _seen_hash(self) -> str:
        """Return the sha256 of the picture that the agent was shown, if it isn't the frame."""
        return sha256(self.observation["image"].tobytes()) if self._controlled else ""


def exact_regret(
    values: Mapping[str, float], info: Mapping[str, Any], reward: float, best_after: float
) -> float:
    """Return the optimal return before a turn, minus the best return still possible with it.

    Args:
        values: The optimal return after each legal action, before the turn.
        info: The turn's info.
        reward: The turn's reward.
        best_after: The optimal return after the turn; 0 if the episode is over.
    """
    moved = info["action"] in values and not info["illegal"]
    return max(values.values()) - (values[info["action"]] if moved else reward + best_after)


def reply_advice(status: str, stop_reason: str, reasoning: str = "") -> str:
    """Return what to do about a reply that names no action; "" if its status is ok.

    Args:
        status: How the reply was read.
        stop_reason: Why the model stopped, as the agent reports it. It tells a reply that the token
            limit cut off from one that the model ended without closing its object.
        reasoning: Reasoning that came apart from the reply.
    """
    if status == "ok":
        return ""
    if stop_reason == "length":
        return "the token limit cut the reply off: raise --max-tokens or think less"
    if stop_reason == "refused":
        return "the provider refused: see its safety settings"
    if status == "empty" and reasoning:
        return (
            "the answer went into the reasoning, which isn't read: turn the server's reasoning "
            "parser off (vLLM's --reasoning-parser), or the model's thinking"
        )
    return {
        "truncated": "the model ended the reply itself, inside an object: no brace closes it",
        "empty": "the model wrote nothing: lower its thinking, or look at its chat template",
        "malformed": "try --json-mode, or a model that follows instructions",
        "unknown": "the action isn't one of the task's",
    }[status]


def _hint(info: Mapping[str, Any], reply: Reply) -> str:
    """Return the environment's hint, with what the reply's end and reasoning add to it."""
    status, hint = str(info["status"]), str(info["hint"])
    is_plain = reply.stop_reason == "stop" and status != "truncated"
    if status == "ok" or (is_plain and not (status == "empty" and reply.reasoning)):
        return hint
    return f"{hint}; {reply_advice(status, reply.stop_reason, reply.reasoning)}"


def _episode_seed(row: Row, repeat: int) -> int:
    """Return the seed that random players draw from; it doesn't change the observations."""
    key = f"{row.instance}|{row.presentation}|{repeat}"
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big")


def _cause(info: Mapping[str, Any], regret: float | None, statements: Statements) -> str:
    if info["status"] != "ok":
        return "format"
    if not info["illegal"] and (regret is None or regret < 1e-9):
        return ""
    if statements.perception is False:
        return "perception"
    if statements.plan is not None and statements.plan != info["action"]:
        return "inconsistent"
    return "decision" if statements.perception else "unattributed"
