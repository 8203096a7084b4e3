"""Draw a curve over runs that differ in one thing: `python -m agents.sweep RUNS --out curve.png`.

`evaluate --sweep max_position=5,10,20,50` makes such runs, each in a folder of its own, and
`evaluate --sweep ladder` plays the rungs of a ladder; both draw their curve themselves. This
command draws curves of several agents into one figure, along any setting, theme or rule.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agents.results.formats import interval_text
from agents.results.measures import METRICS
from agents.results.plots import check_figure
from agents.results.run import open_runs
from agents.sweep.curves import write_curves
from agents.sweep.points import points
from agents.tables import table
from vlbench.cli import Options, option, output_file, parse_options, required, run_main
from vlbench.registry import ENV_HELP, import_environments


@dataclass(frozen=True, kw_only=True)
class Config(Options):
    """Options of `sweep`."""

    runs: tuple[Path, ...] = required(
        "folders of runs, or folders that hold them", positional=True, metavar="RUN"
    )
    out: Path | None = option(
        None, "the figure to write, a .png, .pdf or .svg", check=check_figure, metavar="FIGURE"
    )
    csv: Path | None = option(
        None,
        "the table of points to write",
        check=output_file("a table of ours", b"env,"),
        metavar="TABLE",
    )
    metric: str = option("success", "what the figure shows", choices=METRICS)
    axis: str = option("", "what the runs differ in; found by itself if it is one thing")
    env: tuple[str, ...] = option((), ENV_HELP, metavar="MODULE:ID")


def main(argv: Sequence[str] | None = None) -> int:
    """Draw; exit 0 when done, 2 on a wrong call."""
    return run_main("sweep", lambda: _sweep(argv))


def _sweep(argv: Sequence[str] | None) -> None:
    config = parse_options(Config, argv, prog="python -m agents.sweep", description=__doc__)
    import_environments(config.env, ())
    found = points(open_runs(config.runs), config.axis)
    head = ("env", "agent", found[0].axis, "episodes", *METRICS)
    rows = [
        (
            *(p.env, p.agent, str(p.value), str(p.episodes)),
            *(interval_text(p.measures[metric], metric) for metric in METRICS),
        )
        for p in found
    ]
    print(table(head, rows))
    write_curves(found, config.csv, config.out, config.metric)


if __name__ == "__main__":
    sys.exit(main())
