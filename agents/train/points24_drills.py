"""Write exercises in text: `python -m agents.train.points24_drills --out drills.jsonl`.

Points24's expert writes a search down (see `vlbench.tasks.points24.worked`), and a small language
model has to practise it on more than there are hands. Half of the lines are whole problems, the
others drills of single steps, so that every three numbers are judged often; see
`vlbench.tasks.points24.drills`.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agents.train import sft_data
from agents.train.config_cli import parse_dataclass
from vlbench.cli import refuse
from vlbench.tasks.points24.drills import ExerciseGenerator


@dataclass(frozen=True)
class Config:
    """Options of `points24_drills`."""

    out: Path
    """JSONL file to write"""
    count: int = 60_000
    """problems and drills"""
    drills: float = 0.5
    """share of drills"""
    lines: int = 12
    """steps in a drill"""
    made: float = 0.5
    """share of problems that are made backwards from three numbers"""
    target: int = 24
    """what every problem aims at"""
    seed: int = 0
    """seed of the problems"""


def examples(config: Config) -> Iterator[sft_data.Example]:
    """Yield problems and drills."""
    rng = np.random.default_rng(config.seed)
    generator = ExerciseGenerator(rng, config.target, config.lines, config.made)
    for place in range(config.count):
        is_drill = int((place + 1) * config.drills) > int(place * config.drills)
        exercise = generator.drill() if is_drill else generator.problem()
        yield sft_data.Example(
            env_id="",
            kwargs="{}",
            instance="",
            presentation=0,
            played=[],
            action="",
            expert="",
            prompt=exercise.prompt,
            reply=exercise.reply,
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Write the file; exit 0 when done, 2 on a wrong call."""
    try:
        argv = sys.argv[1:] if argv is None else argv
        prog = "python -m agents.train.points24_drills"
        config = parse_dataclass(Config, argv, prog=prog, description=__doc__ or "")
        count = sft_data.write(config.out, examples(config))
        print(f"{count} problems and drills in {config.out}")
    except (ValueError, OSError) as error:
        return refuse("points24_drills", error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
