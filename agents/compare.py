"""Compare two runs in pairs, on the rows that both played: `python -m agents.compare RUN_A RUN_B`.

Differences are the second run less the first, with 95 % intervals; "separated" says that the
interval of the success difference leaves out 0. Less regret is better. If one run is the other with
a blank picture, the visual gains follow.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import gymnasium

from agents.tables import comparison_table, gain_points
from vlbench.cli import (
    Options,
    option,
    parse_options,
    required,
    run_main,
)
from vlbench.comparison import check_blind, compare, with_visual_gain
from vlbench.records import RunHeader, Tally
from vlbench.run_folder import RunFolder
from vlbench.scoring import notes, score


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
    tallies = [run.tallies() for run in runs]
    comparisons = compare(*tallies)
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
        first, second = (_name(run.header) for run in runs)
        print(f"first: {first}, second: {second}; second less first:")
        print(comparison_table(comparisons, notes_of))
        for line in _visual_gains(runs, tallies):
            print(line)


def _name(header: RunHeader) -> str:
    """Return the agent's name, and what its pictures showed in a control."""
    return header.agent if header.picture == "true" else f"{header.agent} ({header.picture})"


def _visual_gains(runs: Sequence[RunFolder], tallies: Sequence[Sequence[Tally]]) -> list[str]:
    """Return the visual gains as lines, if one run is the other with a blank picture."""
    played = [(run.header, own) for run, own in zip(runs, tallies, strict=True)]
    (blind, blind_played), (true, true_played) = sorted(
        played, key=lambda pair: pair[0].picture != "blank"
    )
    try:
        check_blind(true, blind)
    except ValueError:
        return []
    cards = with_visual_gain(score(true, true_played), true_played, blind_played)
    return [
        f"{card.env} visual gain: {gain_points(gain)} points"
        f"{'' if gain.low > 0 else ', not clear of 0: not visual'}"
        for card in cards
        if (gain := card.visual_gain)
    ]


if __name__ == "__main__":
    sys.exit(main())
