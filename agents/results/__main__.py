"""A paper's tables and figures: `python -m agents.results RUN … --format latex --figure bars.pdf`.

Prints a row for each task and run: as text, Markdown, LaTeX (booktabs) or CSV. `--level episodes`
and `turns` print what a run consists of. `--figure` draws a bar for each run and task, with its
interval, and dashes for random play and the best expected play.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agents.results.formats import COLUMNS, FORMATS, HEADS, results_table, usual_columns
from agents.results.measures import LABELS, METRICS, measure
from agents.results.plots import bars, check_figure, save
from agents.results.rows import LEVELS, csv_text
from agents.results.run import Run, open_runs
from vlbench.cli import Options, option, parse_options, required, run_main, writable_file
from vlbench.errors import unknown_name
from vlbench.intervals import Interval
from vlbench.registry import ENV_HELP, import_environments, short_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, kw_only=True)
class Config(Options):
    """Options of `table`."""

    runs: tuple[Path, ...] = required(
        "folders of runs, or folders that hold them", positional=True, metavar="RUN"
    )
    format: str = option("text", "how the table is written", choices=FORMATS)
    level: str = option(
        "scorecards", "what a row is; episodes and turns are printed as CSV", choices=LEVELS
    )
    columns: str | None = option(
        None,
        f"columns, with commas between, of: {', '.join(HEADS)}; by default {','.join(COLUMNS)}, "
        "and those that tell runs of one agent apart",
        metavar="NAMES",
    )
    out: Path | None = option(
        None, "write the table to this file instead", check=writable_file, metavar="FILE"
    )
    figure: Path | None = option(
        None, "also draw bars, as a .png, .pdf or .svg", check=check_figure, metavar="FIGURE"
    )
    metric: str = option("success", "what the bars show", choices=METRICS)
    env: tuple[str, ...] = option((), ENV_HELP, metavar="MODULE:ID")

    def check(self) -> None:
        """Check the names of columns."""
        for name in self.columns.split(",") if self.columns is not None else ():
            if name not in HEADS:
                raise ValueError(f"--columns: {unknown_name('column', name, HEADS)}")


def main(argv: Sequence[str] | None = None) -> int:
    """Print a table; exit 0 when done, 2 on a wrong call."""
    return run_main("table", lambda: _table(argv))


def _table(argv: Sequence[str] | None) -> None:
    config = parse_options(Config, argv, prog="python -m agents.results", description=__doc__)
    import_environments(config.env, ())
    runs = open_runs(config.runs)
    if config.level != "scorecards" or config.format == "csv":
        text = csv_text([row for run in runs for row in run.rows(config.level)])
    else:
        columns = usual_columns(runs) if config.columns is None else config.columns.split(",")
        text = results_table(runs, columns, config.format)
    if config.out:
        config.out.parent.mkdir(parents=True, exist_ok=True)
        config.out.write_text(text, "utf-8", newline="")
    else:
        sys.stdout.write(text)
    if config.figure:
        save(draw(runs, config.metric), config.figure)


def draw(runs: Sequence[Run], metric: str) -> "Figure":
    """Return a figure with a bar for each run and task.

    Raises:
        ValueError: matplotlib isn't installed.
    """
    tasks = list(dict.fromkeys(card.env for run in runs for card in run.scorecards))
    series: dict[str, list[Interval | None]] = {}
    for run, name in zip(runs, names(runs), strict=True):
        cards = {card.env: card for card in run.scorecards}
        series[name] = [measure(run, cards[env], metric) if env in cards else None for env in tasks]
    lines: dict[str, list[float | None]] = {}
    if metric == "success" and len({run.header.suite for run in runs}) == 1:
        known = {card.env: card for run in runs for card in run.scorecards}
        lines["random play (floor)"] = [known[env].floor for env in tasks]
        lines["best expected (ceiling)"] = [known[env].ceiling for env in tasks]
    return bars([short_name(env) for env in tasks], series, LABELS[metric], lines)


def names(runs: Sequence[Run]) -> list[str]:
    """Return a name for each run: its agent, and what tells it from the others."""
    parts = [
        (run.header.agent, run.header.part, run.header.prompt, run.header.theme) for run in runs
    ]
    shown = [
        ", ".join(part[i] for i in (0, 1, 2, 3) if part[i] and (i == 0 or _differs(parts, i)))
        for part in parts
    ]
    return [
        name if shown.count(name) == 1 else f"{name} ({run.folder.name})"
        for name, run in zip(shown, runs, strict=True)
    ]


def _differs(parts: Sequence[Sequence[str]], place: int) -> bool:
    return len({part[place] for part in parts}) > 1


if __name__ == "__main__":
    sys.exit(main())
