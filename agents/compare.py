"""Compare two runs in pairs, on the rows that both played: `python -m agents.compare RUN_A RUN_B`.

Differences are the second run less the first, with 95 % intervals; "separated" says that the
interval of the success difference leaves out 0.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import gymnasium

from agents.tables import comparison_table
from vlbench.cli import (
    Options,
    option,
    parse_options,
    required,
    run_main,
)
from vlbench.comparison import compare
from vlbench.run_folder import RunFolder
from vlbench.scoring import notes


@dataclass(frozen=True, kw_only=True)
class Config(Options):
    """Options of `compare`."""

    first: Path = required("a run's folder", positional=True)
    second: Path = required("another run's folder", positional=True)
    json: bool = option(False, "print one JSON object")


def main(argv: Sequence[str] | None = None) -> int:
    """Compare; exit 0 when done, 2 on a wrong call."""
    return run_main("compare", lambda: _compare(argv))


def _compare(argv: Sequence[str] | None) -> None:
    config = parse_options(Config, argv, prog="python -m agents.compare", description=__doc__)
    runs = [RunFolder.open(config.first), RunFolder.open(config.second)]
    comparisons = compare(*[run.episodes() for run in runs])
    # An environment of another package may not be registered here; it has no notes then.
    envs = [c.env for c in comparisons if c.env in gymnasium.registry]
    notes_of = {env: notes(env, runs[0].header.suite) for env in envs}
    for line in [line for run in runs for line in run.damaged]:
        print(f"damaged line left out: {line}", file=sys.stderr)
    if config.json:
        rows = [
            asdict(c) | {"separated": c.separated, "notes": list(notes_of.get(c.env, ()))}
            for c in comparisons
        ]
        headers = [asdict(run.header) for run in runs]
        print(json.dumps({"first": headers[0], "second": headers[1], "envs": rows}, indent=2))
    else:
        print(f"first: {runs[0].header.agent}, second: {runs[1].header.agent}; second less first:")
        print(comparison_table(comparisons, notes_of))


if __name__ == "__main__":
    sys.exit(main())
