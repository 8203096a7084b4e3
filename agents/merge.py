"""Join the parts of a run: `python -m agents.merge runs/part* --out runs/whole`.

The parts come from `agents.evaluate --shard I/N`. The whole equals the run that one machine would
have recorded, record by record.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agents.shards import merge
from vlbench.cli import (
    EVALUATION,
    Options,
    existing_folder,
    output_folder,
    parse_options,
    required,
    run_main,
)


@dataclass(frozen=True, kw_only=True)
class Config(Options):
    """Options of `merge`."""

    parts: tuple[Path, ...] = required(
        "folders of the parts", positional=True, metavar="PART", check=existing_folder
    )
    out: Path = required("folder of the whole run", check=output_folder(EVALUATION))


def main(argv: Sequence[str] | None = None) -> int:
    """Join parts; exit 0 when done, 2 on a wrong call."""

    def run() -> None:
        config = parse_options(Config, argv, prog="python -m agents.merge", description=__doc__)
        merge(config.parts, config.out)
        print(f"{config.out}: {len(config.parts)} parts joined")

    return run_main("agents.merge", run)


if __name__ == "__main__":
    sys.exit(main())
