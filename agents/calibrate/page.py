"""Render the lines as a page in Markdown."""

from collections.abc import Mapping, Sequence

from agents.calibrate.lines import PLAYERS, Line
from agents.results.line_file import sets_note
from vlbench.display.formatting import MISSING, number, number_range, percent, percent_interval
from vlbench.intervals import Interval
from vlbench.registry import short_name

COSTS = {"reading": "ocr", "deciding": "smollm2", "both": "ocr-smollm2"}
"""What costs → the player whose regret is that cost: who decides like the solver by what it read,
who is told the truth and decides itself, and who reads and decides itself."""

Lines = Mapping[str, Line]
"""Player → its line on a suite."""


def render(lines: Sequence[Line]) -> str:
    """Return a table of costs, and one of players for each task and suite."""
    places = {(line.unit.env, line.unit.suite): dict[str, Line]() for line in lines}
    for line in lines:
        of_place = places[line.unit.env, line.unit.suite]
        known = of_place.get(line.unit.player)
        if known is None or line.episodes >= known.episodes:
            of_place[line.unit.player] = line
    parts = _table(
        ["task", "suite", *(f"cost of {cost} (95 %)" for cost in COSTS)],
        [
            [short_name(env_id), f"`{suite}`", *(_regret(of.get(name)) for name in COSTS.values())]
            for (env_id, suite), of in places.items()
            if set(of) & set(COSTS.values())
        ],
    )
    for (env_id, suite), of_place in places.items():
        parts += ["", *_players(env_id, suite, of_place)]
    return "\n".join(parts)


def _players(env_id: str, suite: str, lines: Lines) -> list[str]:
    note = sets_note(env_id, suite, (line.unit.set_hash for line in lines.values()))
    head = ["player", "facts from", "decided by", "rows", "success (95 %)", "normalized"]
    head += ["regret a turn (95 %)", "illegal", "unreadable", "commonest action"]
    rows = []
    for name in (name for name in PLAYERS if name in lines):
        line, player = lines[name], PLAYERS[name]
        success = line.success
        rows.append(
            [
                name,
                player.reads,
                player.decides,
                str(line.episodes),
                percent_interval(success.value, success.low, success.high),
                MISSING if line.normalized is None else number(line.normalized),
                _regret(line),
                percent(line.illegal),
                percent(line.unreadable),
                percent(line.commonest),
            ]
        )
    return [
        f"### {short_name(env_id)}, `{suite}`",
        "",
        note,
        "",
        *_table(head, rows),
    ]


def _regret(line: Line | None) -> str:
    regret: Interval | None = line.regret if line else None
    if regret is None:
        return MISSING
    return f"{number(regret.value)} ({number_range(regret.low, regret.high)})"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [
        f"| {' | '.join(head)} |",
        f"|{'---|' * len(head)}",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]
