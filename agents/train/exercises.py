"""Write text-only exercises: `python -m agents.train.exercises --env Points24 --out FILE`.

They are lines as `sft` reads them, without pictures. A task that has exercises describes them, and
its options, in the method `exercises` of its environment's class.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

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
from vlbench.exercises import write_exercises
from vlbench.registry import resolve_env_id


@dataclass(frozen=True)
class Config(Options):
    """Options of `exercises`."""

    out: Path = required("JSONL file to write", check=writable_file)
    env: str = option("Points24", "environment, by id or short name")
    count: int = option(60_000, "number of exercises", ge=1)
    options: dict[str, Any] = option({}, "options of the task's exercises")
    seed: int = option(0, "seed of the exercises", ge=0, le=MAX_SEED)
    overwrite: bool = option(False, "replace the file if it exists")

    def preflight(self) -> None:
        """Check that the file is new, unless it may be replaced, and that the options are right."""
        super().preflight()
        if not self.overwrite:
            new_file(self.out)
        examples(self)


def examples(config: Config) -> Iterator[sft_data.Example]:
    """Return the exercises as lines of data.

    Raises:
        ValueError: The task has no exercises, or an option is wrong.
        ImportError: The task's extra isn't installed.
    """
    rng = np.random.default_rng(config.seed)
    exercises = write_exercises(resolve_env_id(config.env), rng, config.options)
    return (
        sft_data.Example(
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
        for exercise in islice(exercises, config.count)
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Write the file; return 0 on success, 1 if it can't be written, 2 on a wrong call."""
    return run_main("exercises", lambda: _main(argv), failure=1)


def _main(argv: Sequence[str] | None) -> None:
    prog = "python -m agents.train.exercises"
    config = parse_options(Config, argv, prog=prog, description=__doc__)
    count = sft_data.write(config.out, examples(config))
    print(f"{count} exercises in {config.out}")


if __name__ == "__main__":
    sys.exit(main())
