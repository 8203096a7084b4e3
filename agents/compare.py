"""Compare two runs in pairs, on the rows that both played: `python -m agents.compare RUN_A RUN_B`.

Differences are the second run less the first, with 95 % intervals; "separated" says that the
interval of the success difference leaves out 0.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import gymnasium

from agents.tables import comparison_table
from vlbench.cli import Parser, refuse
from vlbench.records import to_json
from vlbench.run_folder import RunFolder
from vlbench.scoring import compare, notes


def main(argv: Sequence[str] | None = None) -> int:
    """Compare; exit 0 when done, 2 on a wrong call."""
    parser = Parser(prog="python -m agents.compare", description=__doc__)
    parser.add_argument("first", type=Path, help="a run's folder")
    parser.add_argument("second", type=Path, help="another run's folder")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    try:
        arguments = parser.parse_args(argv)
        runs = [RunFolder.open(arguments.first), RunFolder.open(arguments.second)]
        comparisons = compare(*[run.episodes() for run in runs])
    except (ValueError, OSError) as error:
        return refuse("compare", error)
    # An environment of another package may not be registered here; it has no notes then.
    envs = [c.env for c in comparisons if c.env in gymnasium.registry]
    told = {env: notes(env, runs[0].header.suite) for env in envs}
    for line in [line for run in runs for line in run.damaged]:
        print(f"damaged line left out: {line}", file=sys.stderr)
    if arguments.json:
        rows = [
            to_json(c) | {"separated": c.separated, "notes": list(told.get(c.env, ()))}
            for c in comparisons
        ]
        headers = [to_json(run.header) for run in runs]
        print(json.dumps({"first": headers[0], "second": headers[1], "envs": rows}, indent=2))
    else:
        print(f"first: {runs[0].header.agent}, second: {runs[1].header.agent}; second less first:")
        print(comparison_table(comparisons, told))
    return 0


if __name__ == "__main__":
    sys.exit(main())
