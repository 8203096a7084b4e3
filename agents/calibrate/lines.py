"""The players, and the result of each on a suite, one JSON line each."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Any

from agents.results.line_file import regret_of
from vlbench.intervals import Interval
from vlbench.limits import Range
from vlbench.records import Episode
from vlbench.scoring import Scorecard


@dataclass(frozen=True, slots=True)
class Player:
    """A player, and where what it knows and what it does come from."""

    agent: str
    """Its name in `agents.registry`."""
    reads: str
    """Where its facts come from."""
    decides: str
    """What decides by them."""
    prompt: str = "cot"
    settings: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


_CHOOSES = MappingProxyType({"decide": "choose", "dtype": "bfloat16"})
_WRITES = MappingProxyType({"decide": "write", "dtype": "bfloat16"})

PLAYERS = {
    "random": Player("random", "nothing", "chance"),
    "heuristic": Player("heuristic", "the state", "a rule of thumb"),
    "expert": Player("expert", "the state", "the solver"),
    "ocr": Player("ocr", "the recognizer", "the solver"),
    "smollm2": Player("smollm2", "the state", "SmolLM2, choosing", "cot_facts", _CHOOSES),
    "smollm2-writes": Player("smollm2", "the state", "SmolLM2, writing", "cot_facts", _WRITES),
    "ocr-smollm2": Player("ocr-smollm2", "the recognizer", "SmolLM2, choosing", "cot", _CHOOSES),
}
"""Name → player, in the order of the tables."""


@dataclass(frozen=True, slots=True)
class Unit:
    """What one line is about."""

    player: str
    """One of PLAYERS."""
    env: str
    suite: str
    rows: int
    """Number of rows that were asked for, from the first; 0 for all."""
    set_hash: str
    """sha256 of the frozen set."""


Share = Annotated[float, Range(0, 1)]


@dataclass(frozen=True, slots=True)
class Line:
    """The result of a unit."""

    unit: Unit
    episodes: int
    success: Interval
    normalized: float | None
    regret: Interval | None
    """Mean regret of a turn; None if the task has no values."""
    turns: int
    illegal: Share
    """Share of turns whose action the state forbids."""
    unreadable: Share
    """Share of turns whose reply names no action of the task."""
    commonest: Share
    """Share of turns with its most frequent action; 1 for a player that always does the same."""
    model: str
    """sha256 of the weights of a local model; "" for others."""
    commit: str
    """Commit that played it."""


def line_of(
    unit: Unit, card: Scorecard, episodes: Sequence[Episode], model: str, commit: str
) -> Line:
    """Return the line of a run with one scorecard."""
    actions = Counter(turn.action for episode in episodes for turn in episode.turns)
    counts = [count for action, count in actions.items() if action]
    return Line(
        unit,
        card.episodes,
        Interval(card.success, card.success_low, card.success_high),
        card.normalized,
        regret_of(card),
        card.turns,
        card.illegal_rate,
        card.unknown_rate + card.malformed_rate + card.truncated_rate,
        max(counts, default=0) / max(actions.total(), 1),
        model,
        commit,
    )
