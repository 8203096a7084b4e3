"""Write the folder of a new task: `vlbench new-task count_dots`.

It holds a small task that works, with its tests; change it into yours. Nothing changes in vlbench:
all commands take its id with the module before it, as in `--env count_dots:my/CountDots-v0`.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vlbench.cli import Options, option, parse_options, required, run_main
from vlbench.cli.folders import new_folder
from vlbench.new_task import check_name, class_name, write_task


@dataclass(frozen=True, kw_only=True)
class Config(Options):
    """Options of `new-task`."""

    name: str = required(
        "name of the task's package, like count_dots", positional=True, check=check_name
    )
    out: Path | None = option(None, "folder to write; NAME in the current folder by default")

    def preflight(self) -> None:
        """Check that the folder is new."""
        super().preflight()
        new_folder(self.folder)

    @property
    def folder(self) -> Path:
        """The folder to write."""
        return self.out or Path(self.name)


def main(argv: Sequence[str] | None = None) -> int:
    """Write the folder; exit 0 when done, 1 if it can't be written, 2 on a wrong call."""
    return run_main("new-task", lambda: _new_task(argv), failure=1)


def _new_task(argv: Sequence[str] | None) -> None:
    config = parse_options(Config, argv, prog="python -m vlbench.new_task", description=__doc__)
    write_task(config.name, config.folder)
    env_id = f"{config.name}:my/{class_name(config.name)}-v0"
    print(f"{config.folder}: a task that works, to be changed into yours. Next, in that folder:")
    print(f"  cd {config.folder}")
    print("  python -m pytest")
    print(f"  python -m agents.evaluate --agent expert --env {env_id}")


if __name__ == "__main__":
    sys.exit(main())
