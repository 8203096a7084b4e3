"""Render the lines of the controls as a page in Markdown."""

from collections.abc import Sequence

from agents.controls.lines import Line
from agents.results.line_file import sets_note
from vlbench.display.formatting import MISSING, number, number_range, percent_interval, points
from vlbench.intervals import Interval
from vlbench.observation import PICTURES
from vlbench.registry import short_name

CONTROLS = PICTURES[1:]


def render(lines: Sequence[Line]) -> str:
    """Return the tables, one for each task and suite in the order of the lines."""
    places = dict.fromkeys((line.unit.env, line.unit.suite) for line in lines)
    parts = []
    for env_id, suite in places:
        of_place = [line for line in lines if (line.unit.env, line.unit.suite) == (env_id, suite)]
        parts += [*_table(env_id, suite, of_place), ""]
    return "\n".join(parts)


def _table(env_id: str, suite: str, lines: Sequence[Line]) -> list[str]:
    note = sets_note(env_id, suite, (line.unit.set_hash for line in lines))
    head = ["player", "rows", "success (95 %)", "regret a turn (95 %)"]
    head += [f"gain over {control}, points (95 %)" for control in CONTROLS]
    head += ["less regret than blank (95 %)", "visual"]
    players = dict.fromkeys(line.unit.player for line in lines)
    rows = [_cells(player, lines) for player in players]
    return [
        f"### {short_name(env_id)}, `{suite}`",
        "",
        note,
        "",
        f"| {' | '.join(head)} |",
        f"|{'---|' * len(head)}",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def _cells(player: str, lines: Sequence[Line]) -> list[str]:
    by_picture = {line.unit.picture: line for line in lines if line.unit.player == player}
    true, blank = by_picture.get("true"), by_picture.get("blank")
    models = sorted({line.model[:12] for line in by_picture.values() if line.model})
    cells = [" ".join((player, *(f"`{model}`" for model in models)))]
    if true is None:
        cells += [MISSING] * 3
    else:
        success = true.success
        cells += [
            str(true.episodes),
            percent_interval(success.value, success.low, success.high),
            _regret(true.regret),
        ]
    for control in CONTROLS:
        line = by_picture.get(control)
        cells.append(_points(line.gain) if line else MISSING)
    gain = blank.gain if blank else None
    cells.append(_regret(blank.regret_gain) if blank else MISSING)
    cells.append(MISSING if gain is None else "yes" if gain.low > 0 else "not visual")
    return cells


def _points(gain: Interval | None) -> str:
    return MISSING if gain is None else points(gain.value, gain.low, gain.high)


def _regret(regret: Interval | None) -> str:
    if regret is None:
        return MISSING
    return f"{number(regret.value)} ({number_range(regret.low, regret.high)})"
