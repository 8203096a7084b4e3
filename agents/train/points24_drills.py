"""Write text exercises: `python -m agents.train.points24_drills --out drills.jsonl`.

Points24's expert writes out its search (see `vlbench.tasks.points24.worked`), and a small language
model needs more practice than there are hands. Half of the lines are whole problems; the others
drill single steps, so that the model judges every three numbers often (see
`vlbench.tasks.points24.drills`).
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agents.train import sft_data
from vlbench.cli import (
    MAX_SEED,
    Options,
    new_file,
    option,
    parse_options,
    required,
    run_main,
    writable_file,
)
from vlbench.tasks.points24.drills import ExerciseGenerator
from vlbench.tasks.points24.worked import LARGEST


@dataclass(frozen=True)
class Config(Options):
    """Options of `points24_drills`."""

    out: Path = required("JSONL file to write", check=writable_file)
    count: int = option(60_000, "number of problems and drills", ge=1)
    drills: float = option(0.5, "share of drills", ge=0, le=1)
    lines: int = option(12, "steps per drill", ge=1, limit=10_000)
    backwards: float = option(
        0.5,
        "share of problems built backwards from three numbers",
        ge=0,
        le=1,
        old_name="--made",
    )
    target: int = option(24, "target number of the problems", ge=1, le=LARGEST)
    seed: int = option(0, "seed of the problems", ge=0, le=MAX_SEED)
    overwrite: bool = option(False, "replace the file if it exists")

    def preflight(self) -> None:
        """Check that the file is new, unless it may be replaced."""
        super().preflight()
        if not self.overwrite:
            new_file(self.out)


def examples(config: Config) -> Iterator[sft_data.Example]:
    """Yield problems and drills."""
    rng = np.random.default_rng(config.seed)
    generator = ExerciseGenerator(rng, config.target, config.lines, config.backwards)
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
    """Write the file; return 0 on success, 1 if it can't be written, 2 on a wrong call."""
    return run_main("points24_drills", lambda: _main(argv), failure=1)


def _main(argv: Sequence[str] | None) -> None:
    prog = "python -m agents.train.points24_drills"
    config = parse_options(Config, argv, prog=prog, description=__doc__)
    count = sft_data.write(config.out, examples(config))
    print(f"{count} problems and drills in {config.out}")


if __name__ == "__main__":
    sys.exit(main())
