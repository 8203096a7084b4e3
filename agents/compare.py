"""Compare runs in pairs, on the rows that all played: `python -m agents.compare RUN_A RUN_B …`.

First comes what differs between the runs: agent, settings, weights, prompt, theme. Then each run
less the first, with 95 % intervals; "separated" says that the interval of the success difference
leaves out 0. Less regret is better. A row that was played several times counts with the mean of its
repeats. If one run is another with a blank picture, the visual gains follow.

Repeats (`evaluate --repeats N`) of a run add pass^k, the chance that k tries of a row all succeed,
and the flip rate, the chance that two tries end differently. With --seeds the runs are seeds of one
method: their mean follows, with Student's 95 % interval over the seeds.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import permutations
from pathlib import Path
from typing import Any

import gymnasium

from agents.results.comparison_text import differences_table, repeats_table, seeds_table
from agents.tables import comparison_table, gain_points
from vlbench.cli import (
    Options,
    option,
    parse_options,
    required,
    run_main,
)
from vlbench.comparison import (
    Comparison,
    check_blind,
    compare,
    differences,
    repeats_of,
    seed_means,
    with_visual_gain,
)
from vlbench.records import RunHeader, Tally
from vlbench.registry import ENV_HELP, import_environments
from vlbench.run_folder import RunFolder
from vlbench.scoring import notes, score

MOST_RUNS = 100


@dataclass(frozen=True, kw_only=True)
class Config(Options):
    """Options of `compare`."""

    runs: tuple[Path, ...] = required(
        "folders of runs; the others are compared with the first", positional=True, metavar="RUN"
    )
    seeds: bool = option(False, "take the runs for seeds of one method, and print their mean")
    json: bool = option(False, "print one JSON object")
    env: tuple[str, ...] = option((), ENV_HELP, metavar="MODULE:ID")

    def check(self) -> None:
        """Check the number of runs."""
        if len(self.runs) < 2:
            raise ValueError(f"compare wants at least two runs, got {len(self.runs)}")
        if len(self.runs) > MOST_RUNS:
            raise ValueError(f"compare takes at most {MOST_RUNS} runs, got {len(self.runs)}")


def main(argv: Sequence[str] | None = None) -> int:
    """Compare; exit 0 when done, 2 on a wrong call."""
    return run_main("compare", lambda: _compare(argv))


def _compare(argv: Sequence[str] | None) -> None:
    config = parse_options(Config, argv, prog="python -m agents.compare", description=__doc__)
    import_environments(config.env, ())
    runs = [RunFolder.open(path) for path in config.runs]
    played = [run.tallies() for run in runs]
    comparisons = _with_first(runs, played)
    for line in [line for run in runs for line in run.damaged]:
        print(f"damaged line left out: {line}", file=sys.stderr)
    headers = [run.header for run in runs]
    # Scores need the environments, which may be of a package that isn't installed.
    means = seed_means(list(map(score, headers, played))) if config.seeds else []
    differing = differences(headers)
    repeats = [repeats_of(episodes) for episodes in played]
    if config.json:
        pairs = [_pair_data(comparison, headers[0]) for comparison in comparisons]
        data: dict[str, Any] = {
            "first": asdict(headers[0]),
            "second": asdict(headers[1]),
            "envs": pairs[0],
            "others": [
                {"run": asdict(header), "envs": envs}
                for header, envs in zip(headers[2:], pairs[1:], strict=True)
            ],
            "differences": [asdict(difference) for difference in differing],
            "repeats": [[asdict(each) for each in of_run] for of_run in repeats],
            "seeds": [asdict(each) for each in means],
        }
        print(json.dumps(data, indent=2))
        return
    names = _names(runs)
    print(differences_table(differing, names))
    for number, comparison in enumerate(comparisons, 1):
        print(f"\n{_ordinal(number)} less first: {names[number]} less {names[0]}")
        print(comparison_table(comparison, _notes(comparison, headers[0])))
    for text in (repeats_table(repeats), seeds_table(means)):
        if text:
            print(f"\n{text}")
    for one, other in permutations(zip(headers, played, strict=True), 2):
        for line in _visual_gains(one, other):
            print(line)


def _with_first(
    runs: Sequence[RunFolder], played: Sequence[Sequence[Tally]]
) -> list[list[Comparison]]:
    """Compare each further run with the first.

    Raises:
        ValueError: One has no row in common with it.
    """
    comparisons = []
    for run, episodes in zip(runs[1:], played[1:], strict=True):
        try:
            comparisons.append(compare(played[0], episodes))
        except ValueError as error:
            raise ValueError(f"{runs[0].path} and {run.path}: {error}") from error
    return comparisons


ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth")


def _ordinal(number: int) -> str:
    """Return the place of a run in words, from 0."""
    return ORDINALS[number] if number < len(ORDINALS) else f"run {number + 1}"


def _notes(comparisons: Sequence[Comparison], header: RunHeader) -> dict[str, tuple[str, ...]]:
    """Return env id → caveats; an environment of another package that isn't loaded has none."""
    envs = [c.env for c in comparisons if c.env in gymnasium.registry]
    return {env: notes(env, header.suite) for env in envs}


def _pair_data(comparisons: Sequence[Comparison], header: RunHeader) -> list[dict[str, Any]]:
    notes_of = _notes(comparisons, header)
    return [
        asdict(c) | {"separated": c.separated, "notes": list(notes_of.get(c.env, ()))}
        for c in comparisons
    ]


def _names(runs: Sequence[RunFolder]) -> list[str]:
    """Return the agents' names; in a control with what it showed, and namesakes with the folder."""
    headers = [run.header for run in runs]
    labels = [h.agent if h.picture == "true" else f"{h.agent} ({h.picture})" for h in headers]
    return [
        name if labels.count(name) == 1 else f"{name} in {run.path}"
        for name, run in zip(labels, runs, strict=True)
    ]


def _visual_gains(
    true: tuple[RunHeader, Sequence[Tally]], blind: tuple[RunHeader, Sequence[Tally]]
) -> list[str]:
    """Return the visual gains as lines, if the second run is the first with a blank picture."""
    try:
        check_blind(true[0], blind[0])
    except ValueError:
        return []
    cards = with_visual_gain(score(*true), true[1], blind[1])
    return [
        f"{card.env} visual gain, points: {gain_points(card.visual_gain)}"
        for card in cards
        if card.visual_gain
    ]


if __name__ == "__main__":
    sys.exit(main())
