"""The numbers that pages print: rows of tables, and an entry's results.

Templates print these numbers and compute nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from leaderboard.pages.tasks import Task, beside_test
from leaderboard.ranking import Standing, by_headline, by_task, headline, scorecard
from leaderboard.verify import Verified
from vlbench.intervals import Interval
from vlbench.scoring import Headline, Scorecard, usd_per_success
from vlbench.suites import TEST, label, ordered_suites, shipped_suites

Section = Literal["general", "specialists", "reference"]

TRACKS: dict[Section, tuple[str, ...]] = {
    "general": ("zero-shot",),
    "specialists": ("sft", "rl", "pipeline", "specialist"),
    "reference": ("reference", "human"),
}
"""The tables of a page, in display order, and the tracks whose entries they list."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A value with its interval as a bar; all in percent of the bar's length."""

    value: float
    low: float
    width: float
    """From the interval's lower end to its upper one."""
    marks: tuple[float, ...]

    @classmethod
    def of(
        cls,
        value: float,
        low: float,
        high: float,
        floor: float | None = None,
        ceiling: float | None = None,
    ) -> "Bar":
        """Return the bar of numbers from 0 to 1; what lies beyond ends at the bar's end.

        Args:
            value: What was measured.
            low: Lower end of its interval.
            high: Upper end of its interval.
            floor: Where a mark stands; none by default.
            ceiling: Where another mark stands; one of 1 would be the bar's end.
        """
        limits = [floor, None if ceiling == 1 else ceiling]
        marks = tuple(_percent(limit) for limit in limits if limit is not None)
        return cls(_percent(value), _percent(low), _percent(high) - _percent(low), marks)


def _percent(share: float) -> float:
    return round(100 * min(max(share, 0.0), 1.0), 2)


@dataclass(frozen=True, slots=True)
class Cell:
    """An entry's normalised success on one task; None where it didn't play or has no bounds."""

    test: float | None
    beside: tuple[float | None, ...]
    """On the suites of `beside_test`."""

    @property
    def plays_beside(self) -> bool:
        """Whether the entry has a number on one of those suites."""
        return any(value is not None for value in self.beside)


@dataclass(frozen=True, slots=True)
class OverallRow:
    """An entry in a table over all tasks."""

    tie_group: int | None
    entry: Verified
    test: Headline | None
    bar: Bar | None
    """Of `test`."""
    beside: tuple[Headline | None, ...]
    """On the suites of `beside_test`."""
    cells: tuple[Cell, ...]
    """One a task, in the order of the columns."""
    regrets: tuple[float | None, ...]
    """Mean regret of a turn on `test`, one a task."""
    gains: tuple[Interval | None, ...]
    """Visual gain on `test`, one a task."""
    usd_per_success: float | None
    """On `test`."""
    errored: int
    """Episodes of `test` and the suites beside it."""


def overall_rows(
    entries: Sequence[Verified], section: Section, tasks: Sequence[Task], table: str
) -> list[OverallRow]:
    """Return a section's entries by mean normalised success.

    Args:
        entries: All entries.
        section: Whose rows are wanted.
        tasks: The columns.
        table: The headline by which rows are ordered.
    """
    players = [entry for entry in entries if entry.manifest.card.track in TRACKS[section]]
    return [
        _overall_row(standing, tasks, table) for standing in by_headline(players, "test", table)
    ]


def _overall_row(standing: Standing, tasks: Sequence[Task], table: str) -> OverallRow:
    entry = standing.entry
    test = headline(entry, "test", table)
    suites = ("test", *beside_test())
    cards = [[scorecard(entry, suite, task.env_id) for suite in suites] for task in tasks]
    played = [card for of_task in cards for card in of_task if card]
    normalized = [[card.normalized if card else None for card in of_task] for of_task in cards]
    return OverallRow(
        tie_group=standing.tie_group,
        entry=entry,
        test=test,
        bar=Bar.of(test.normalized, test.low, test.high) if test else None,
        beside=tuple(headline(entry, suite, table) for suite in suites[1:]),
        cells=tuple(Cell(first, tuple(others)) for first, *others in normalized),
        regrets=tuple(card.regret if card else None for card, *_ in cards),
        gains=tuple(card.visual_gain if card else None for card, *_ in cards),
        usd_per_success=usd_per_success([card for card in played if card.suite == "test"]),
        errored=sum(card.errored for card in played),
    )


@dataclass(frozen=True, slots=True)
class TaskRow:
    """An entry in a task's table."""

    tie_group: int | None
    entry: Verified
    test: Scorecard | None
    bar: Bar | None
    """Of `test`."""
    beside: tuple[Scorecard | None, ...]
    """On the suites of `beside_test`."""
    unreadable: float | None
    """Share of turns of `test` whose reply named no action of the task."""
    tokens: float | None
    """Of an episode of `test`."""


def filled(rows: Sequence[OverallRow] | Sequence[TaskRow]) -> list[int]:
    """Return the numbers of the suites of `beside_test` for which a row of a table has a value."""
    return [n for n in range(len(beside_test())) if any(row.beside[n] for row in rows)]


def task_rows(entries: Sequence[Verified], section: Section, env_id: str) -> list[TaskRow]:
    """Return a section's entries that played a task, by success on `test`."""
    players = [
        entry
        for entry in entries
        if entry.manifest.card.track in TRACKS[section]
        and any(scorecard(entry, suite, env_id) for suite in entry.scores)
    ]
    return [_task_row(standing, env_id) for standing in by_task(players, "test", env_id)]


def _task_row(standing: Standing, env_id: str) -> TaskRow:
    test = scorecard(standing.entry, "test", env_id)
    return TaskRow(
        tie_group=standing.tie_group,
        entry=standing.entry,
        test=test,
        bar=_success_bar(test) if test else None,
        beside=tuple(scorecard(standing.entry, suite, env_id) for suite in beside_test()),
        unreadable=test.unknown_rate + test.malformed_rate + test.truncated_rate if test else None,
        tokens=test.tokens / test.episodes if test and test.tokens is not None else None,
    )


@dataclass(frozen=True, slots=True)
class LadderRow:
    """An entry in the table of a task's sets beyond `test` and the suites beside it."""

    entry: Verified
    cards: tuple[Scorecard | None, ...]
    """One a set, in the order of `other_suites`."""


def other_suites(env_id: str) -> tuple[str, ...]:
    """Return a task's sets that its main table doesn't show: the paper's, ladders and others."""
    main = (TEST, *beside_test())
    return tuple(suite for suite in shipped_suites(env_id) if suite not in main)


def ladder_rows(entries: Sequence[Verified], env_id: str) -> list[LadderRow]:
    """Return the entries that played one of a task's other sets, by name."""
    rows = [
        LadderRow(entry, tuple(scorecard(entry, suite, env_id) for suite in other_suites(env_id)))
        for entry in entries
    ]
    return [row for row in rows if any(row.cards)]


def _success_bar(card: Scorecard) -> Bar:
    return Bar.of(card.success, card.success_low, card.success_high, card.floor, card.ceiling)


@dataclass(frozen=True, slots=True)
class Cause:
    """A segment of the bar of suboptimal turns."""

    name: str
    turns: int
    start: int
    """Turns of the parts before it."""


@dataclass(frozen=True, slots=True)
class SuiteResult:
    """An entry's numbers on one suite of a task."""

    suite: str
    card: Scorecard
    bar: Bar
    causes: tuple[Cause, ...]
    """Why turns were worse than the best one; causes of no turn are left out."""
    worse: int
    """Number of suboptimal turns."""
    notes: tuple[str, ...]
    """Caveats of these numbers, besides the task's own label."""

    @classmethod
    def of(cls, card: Scorecard) -> "SuiteResult":
        """Return what a page prints of a scorecard."""
        causes, worse = [], 0
        for name, cause in card.attribution.items():
            if cause.turns:
                causes.append(Cause(name, cause.turns, worse))
                worse += cause.turns
        notes = tuple(note for note in card.notes if note != label(card.env, card.suite))
        return cls(card.suite, card, _success_bar(card), tuple(causes), worse, notes)


@dataclass(frozen=True, slots=True)
class TaskResult:
    """An entry's numbers on one task."""

    task: Task
    suites: tuple[SuiteResult, ...]


def results(entry: Verified, tasks: Sequence[Task]) -> list[TaskResult]:
    """Return an entry's numbers on the tasks that it played."""
    played = []
    for task in tasks:
        cards = [scorecard(entry, suite, task.env_id) for suite in ordered_suites(entry.scores)]
        suites = tuple(SuiteResult.of(card) for card in cards if card and card.picture == "true")
        if suites:
            played.append(TaskResult(task, suites))
    return played
