"""Results as texts for a terminal."""

from collections.abc import Mapping, Sequence

from vlbench.comparison import Comparison
from vlbench.display.formatting import (
    MISSING,
    number,
    number_range,
    percent,
    percent_interval,
    percent_range,
    points,
    signed,
)
from vlbench.intervals import Interval
from vlbench.scoring import Headline, Scorecard
from vlbench.suites import bounds


def scorecard_cells(cards: Sequence[Scorecard]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return the head and the rows of a table of scorecards, as texts."""
    head: tuple[str, ...] = (
        "env",
        "episodes",
        "distinct",
        "success (95 %)",
        "normalized",
        "visual gain",
        "return",
        "regret",
        "illegal",
        "unknown",
        "malformed",
        "errored",
    )
    rows: list[tuple[str, ...]] = [
        (
            card.env,
            str(card.episodes),
            str(card.distinct),
            percent_interval(card.success, card.success_low, card.success_high),
            number(card.normalized),
            gain_points(card.visual_gain),
            number(card.mean_return),
            number(card.regret),
            percent(card.illegal_rate),
            percent(card.unknown_rate),
            percent(card.malformed_rate),
            str(card.errored),
        )
        for card in cards
    ]
    return head, rows


def scorecard_table(cards: Sequence[Scorecard]) -> str:
    """Return scorecards as an aligned table, and a line for each note."""
    lines = [
        table(*scorecard_cells(cards)),
        *map(_by_group, filter(lambda card: card.groups, cards)),
    ]
    lines += [f"{card.env} {detail}" for card in cards for detail in _details(card)]
    return "\n".join(lines + _note_lines({card.env: card.notes for card in cards}))


def _note_lines(notes: Mapping[str, Sequence[str]]) -> list[str]:
    """Return a line for each note, with the environments that it belongs to."""
    envs: dict[str, list[str]] = {}
    for env, env_notes in notes.items():
        for note in env_notes:
            envs.setdefault(note, []).append(env)
    return [f"{note}: {', '.join(names)}" for note, names in envs.items()]


def _by_group(card: Scorecard) -> str:
    """Return a scorecard's success by group as a line."""
    parts = [f"{name} {percent(g.success)} of {g.episodes}" for name, g in card.groups.items()]
    return f"{card.env} by type: {', '.join(parts)}"


def _details(card: Scorecard) -> list[str]:
    """Return lines for what the table has no column for."""
    rates = {
        "truncated": card.truncated_rate,
        "refused": card.refused_rate,
        "recovered": card.recovered_rate,
        "read differently by the strict level": card.strict_rate,
    }
    parts = [f"{percent(rate)} {name}" for name, rate in rates.items() if rate]
    if card.strict_rate and card.strict_success:
        parts[-1] += f" (success there {percent_range(*card.strict_success)})"
    details = [f"replies: {', '.join(parts)}"] if parts else []
    if bounds(card.env, card.suite) is None and card.floor is not None and card.ceiling is not None:
        limits = f"floor {percent(card.floor)}, ceiling {percent(card.ceiling)}"
        details.append(f"bounds computed for this run: {limits}")
    if percent(card.paper_success) != percent(card.success):
        details.append(f"episodes with a return above 0: {percent(card.paper_success)}")
    return details


def headline_line(headline: Headline) -> str:
    """Return a headline as a line."""
    interval = number_range(headline.low, headline.high)
    return f"{headline.table}: mean normalized success {number(headline.normalized)} ({interval})"


def comparison_table(comparisons: Sequence[Comparison], notes: Mapping[str, Sequence[str]]) -> str:
    """Return a paired comparison as an aligned table, and a line for each note.

    Args:
        comparisons: Differences, second less first.
        notes: What must be said of each environment.
    """
    head = (
        "env",
        "rows",
        "success, points (95 %)",
        "return (95 %)",
        "regret (95 %)",
        "only first",
        "only second",
        "separated",
    )
    rows = []
    for c in comparisons:
        rows.append(
            (
                c.env,
                str(c.rows),
                points(c.success.value, c.success.low, c.success.high),
                _difference(c.mean_return),
                _difference(c.regret) if c.regret else MISSING,
                str(c.only_first),
                str(c.only_second),
                "yes" if c.separated else "no",
            )
        )
    lines = [
        f"{c.env}: errored and counted as failures: {c.errored_first} episodes of the first run, "
        f"{c.errored_second} of the second"
        for c in comparisons
        if c.errored_first or c.errored_second
    ]
    return "\n".join([table(head, rows), *lines, *_note_lines(notes)])


def gain_points(gain: Interval | None) -> str:
    """Return a visual gain in percentage points, with its interval, and whether it is none."""
    if gain is None:
        return MISSING
    mark = "" if gain.low > 0 else ", not visual"
    return points(gain.value, gain.low, gain.high) + mark


def _difference(value: Interval) -> str:
    return f"{signed(value.value)} ({signed(value.low)} to {signed(value.high)})"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Align columns: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = []
    for row in (head, *rows):
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join(cells))
    return "\n".join(lines)
