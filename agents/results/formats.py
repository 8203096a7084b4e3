"""Tables of runs as text, Markdown and LaTeX."""

import json
import re
from collections.abc import Callable, Iterable, Sequence

from agents.results.measures import measure
from agents.results.run import Run
from agents.tables import table
from vlbench.comparison.differences import short_text
from vlbench.display.formatting import MISSING, number, number_range, percent, percent_interval
from vlbench.intervals import Interval
from vlbench.registry import short_name
from vlbench.scoring import Scorecard

FORMATS = ("text", "markdown", "latex", "csv")

Column = Callable[[Run, Scorecard], str]


def _interval(metric: str) -> Column:
    def cell(run: Run, card: Scorecard) -> str:
        return interval_text(measure(run, card, metric), metric)

    return cell


def interval_text(value: Interval | None, metric: str) -> str:
    """Return one of METRICS with its interval as a cell of a table; success is a percentage."""
    if value is None:
        return MISSING
    if metric == "success":
        return percent_interval(value.value, value.low, value.high)
    return f"{number(value.value)} ({number_range(value.low, value.high)})"


def _rules(run: Run) -> str:
    rules = run.header.env_kwargs
    return " ".join(f"{name}={json.dumps(value)}" for name, value in rules.items()) or MISSING


def _settings(names: Iterable[str]) -> Column:
    def cell(run: Run, card: Scorecard) -> str:
        found = {name: run.header.settings.get(name) for name in names}
        return " ".join(f"{name}={short_text(value)}" for name, value in found.items()) or MISSING

    return cell


HEADS: dict[str, Column] = {
    "agent": lambda run, card: card.agent,
    "task": lambda run, card: short_name(card.env),
    "suite": lambda run, card: card.suite,
    "rules": lambda run, card: _rules(run),
    "prompt": lambda run, card: card.prompt,
    "theme": lambda run, card: card.theme,
    "picture": lambda run, card: card.picture,
    "preamble": lambda run, card: str(run.header.preamble),
    "history": lambda run, card: str(run.header.history),
    "settings": _settings(()),
    "run": lambda run, card: run.folder.name,
    "episodes": lambda run, card: str(card.episodes),
    "distinct": lambda run, card: str(card.distinct),
    "success": _interval("success"),
    "normalized": _interval("normalized"),
    "return": _interval("return"),
    "regret": _interval("regret"),
    "illegal": lambda run, card: percent(card.illegal_rate),
    "unknown": lambda run, card: percent(card.unknown_rate),
    "malformed": lambda run, card: percent(card.malformed_rate),
    "truncated": lambda run, card: percent(card.truncated_rate),
    "errored": lambda run, card: str(card.errored),
    "tokens": lambda run, card: MISSING if card.tokens is None else str(card.tokens),
    "usd": lambda run, card: number(card.usd, 2),
}
"""Column → its cell for a scorecard of a run."""
COLUMNS = ("agent", "task", "suite", "episodes", "success", "normalized", "regret")
"""The columns unless others are asked for; after "suite" come those that tell the runs apart."""
TELLING = ("prompt", "theme", "picture", "preamble", "history", "settings")
"""Columns that stand in the usual table where runs of one agent differ in them."""
TEXTS = ("agent", "task", "suite", "rules", *TELLING, "run")
"""Columns that are aligned to the left."""


def usual_columns(runs: Sequence[Run]) -> tuple[str, ...]:
    """Return COLUMNS, with those that tell the runs apart; the run's folder if no others do."""
    rules = ("rules",) if any(run.header.env_kwargs for run in runs) else ()
    players = [(card.agent, card.env, card.suite) for run in runs for card in run.scorecards]
    cells = {name: [row[0] for row in _cells(runs, [name])] for name in TELLING}
    telling = [
        name for name in TELLING if len({*zip(players, cells[name], strict=True)}) > len({*players})
    ]
    place = COLUMNS.index("suite") + 1
    columns = (*COLUMNS[:place], *rules, *telling, *COLUMNS[place:])
    names = [tuple(row) for row in _cells(runs, [name for name in columns if name in TEXTS])]
    return columns if len({*names}) == len(names) else ("run", *columns)


def _cells(runs: Sequence[Run], columns: Sequence[str]) -> list[list[str]]:
    """Return the rows of a table; of the settings, those in which the runs differ."""
    settings = [run.header.settings for run in runs]
    names = dict.fromkeys(name for values in settings for name in values)
    differing = [n for n in names if any(v.get(n) != settings[0].get(n) for v in settings)]
    heads = HEADS | {"settings": _settings(differing)}
    return [[heads[name](run, card) for name in columns] for run in runs for card in run.scorecards]


def results_table(runs: Sequence[Run], columns: Sequence[str], form: str) -> str:
    """Return a table with a row for each scorecard of each run; it ends with a line break.

    Args:
        runs: The runs.
        columns: Names in HEADS.
        form: "text", "markdown" or "latex" (needs booktabs).
    """
    rows = _cells(runs, columns)
    if form == "markdown":
        return markdown(columns, rows)
    return latex(columns, rows) if form == "latex" else table(columns, rows) + "\n"


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    dashes = ["---" if name in TEXTS else "---:" for name in columns]
    lines = [columns, dashes, *([_escaped(cell) for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _escaped(cell: str) -> str:
    return cell.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


LATEX = {
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{character: f"\\{character}" for character in "&%$#_{}"},
    **{"–": "--", "−": "$-$", "\n": " "},
}
"""Character → how LaTeX writes it."""


def latex(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a LaTeX `tabular` with booktabs' rules."""
    form = "".join("l" if name in TEXTS else "r" for name in columns)
    lines = [_latex_row(row) for row in rows]
    return "\n".join(
        [
            "% needs \\usepackage{booktabs}; intervals are 95 %",
            f"\\begin{{tabular}}{{{form}}}",
            "\\toprule",
            _latex_row(columns),
            "\\midrule",
            *lines,
            "\\bottomrule",
            "\\end{tabular}",
            "",
        ]
    )


def _latex_row(cells: Sequence[str]) -> str:
    signed = (re.sub(r"(?<![\w.])-(?=\d)", "−", cell) for cell in cells)
    texts = ("".join(LATEX.get(character, character) for character in cell) for cell in signed)
    return f"{' & '.join(texts)} \\\\"
