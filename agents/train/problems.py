"""Worked problems, as text: `python -m agents.train.problems --out problems.jsonl`.

Points24's thoughts write a search down (see `agents.train.search`), and a small language model has
to practise it on many more problems than there are hands: here with other targets, and with three
numbers. The transcripts have no pictures, and none of the problems is a hand of the test split.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agents.arguments import refuse
from agents.train import sft_data
from agents.train.dataclass_arguments import parse_dataclass
from agents.train.search import posed, reachable, work
from vlbench.formula import hands
from vlbench.instances import split_of
from vlbench.tasks.points24.game import Points24Game

TARGETS = frozenset(range(1, 61))
"""What problems other than the usual ones aim at."""


@dataclass(frozen=True)
class Config:
    """Options of `problems`."""

    out: Path
    """JSONL file to write"""
    count: int = 40_000
    """problems"""
    three: float = 0.4
    """share of problems with three numbers, which may be larger than cards"""
    usual: float = 0.5
    """share of problems with the target 24, where it can be reached"""
    seed: int = 0
    """seed of the problems and of how they are worked"""


def examples(config: Config) -> Iterator[sft_data.Example]:
    """Yield problems, none of them a test hand."""
    rng = np.random.default_rng(config.seed)
    game = Points24Game(24, 10)
    shown = [
        hand
        for hand in hands(4, game.numbers)
        if split_of(f"points24/{'-'.join(map(str, hand))}", game.test_share) == "train"
    ]
    for _ in range(config.count):
        if rng.random() < config.three:
            drawn = rng.integers(1, 11, 3) * rng.choice((1, 1, 2, 3, 4, 5), 3)
            numbers = tuple(int(number) for number in sorted(drawn))
        else:
            numbers = tuple(shown[rng.integers(len(shown))])
        targets = sorted(reachable(numbers) & TARGETS)
        usual = game.target in targets and rng.random() < config.usual
        target = game.target if usual else targets[rng.integers(len(targets))]
        lying = [numbers[i] for i in rng.permutation(len(numbers))]
        worked = work(lying, target, rng)
        assert worked is not None
        yield sft_data.Example(
            env_id="", kwargs="{}", instance="", presentation=0, played=[], action="", expert="",
            prompt=posed(lying, target), reply=f"{worked.search} {worked.plan}",
        )  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Write the file; exit 0 when done, 2 on a wrong call."""
    try:
        argv = sys.argv[1:] if argv is None else argv
        prog = "python -m agents.train.problems"
        config = parse_dataclass(Config, argv, prog=prog, description=__doc__ or "")
        written = sft_data.write(config.out, examples(config))
        print(f"{written} problems in {config.out}")
    except (ValueError, OSError) as error:
        return refuse("problems", error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
