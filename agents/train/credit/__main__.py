"""Which estimator sees what a turn was worth? `python -m agents.train.credit`.

Plays whole episodes of each task with a bundled checkpoint, gives the same turns to every estimator
of advantages, and compares each with the environment's exact values. One JSON line a result is
appended when a task is finished; called again, it measures what is missing. A page with tables is
written beside the lines. `agents.train.credit.plan` fixes what is measured.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from vlbench.cli import exit_without

if __name__ == "__main__":
    exit_without(("torch", "transformers", "peft", "accelerate"), "credit", extra="train")

from agents.results.study_lines import append_lines, log_line, read_lines
from agents.results.study_page import write_page
from agents.train.credit.measure import measure
from agents.train.credit.page import values
from agents.train.credit.plan import PLAN, Plan
from agents.vlm.bundled import CHECKPOINTS
from vlbench.cli import (
    Options,
    existing_folder,
    option,
    parse_options,
    run_main,
    writable_file,
)
from vlbench.errors import unknown_name


@dataclass(frozen=True)
class Config(Options):
    """Options of `credit`."""

    out: Path = option(Path("runs/credit"), "folder of the rollouts; existing ones are used")
    results: Path | None = option(
        None,
        "JSON lines to append to; the page is written beside them; by default in --out",
        check=writable_file,
    )
    games: str = option("", 'tasks, comma-separated; "" for all that have a policy')
    policy: Path | None = option(
        None,
        "checkpoint for ALFWorld, which no bundled one plays; without it ALFWorld is left out",
        check=existing_folder,
    )
    only_page: bool = option(False, "measure nothing; write the page from the existing lines")


def study(plan: Plan, config: Config) -> Path:
    """Measure the missing games; return the page.

    Raises:
        ValueError: An option or a file is wrong.
        OSError: A file can't be written.
    """
    results = config.results or config.out / "credit.jsonl"
    policies = {
        name: CHECKPOINTS / game.model if game.model else config.policy
        for name, game in plan.games.items()
    }
    names = [name.strip() for name in config.games.split(",")] if config.games else [*plan.games]
    for name in names:
        if name not in plan.games:
            raise ValueError(unknown_name("game", name, plan.games))
        if config.games and policies[name] is None:
            raise ValueError(f"no bundled checkpoint plays {name}; name one: --policy FOLDER")
    lines = read_lines(
        results, lambda line: line["plan"] == plan.digest and line["game"] in plan.games
    )
    done = {line["game"] for line in lines}
    for name in names if not config.only_page else ():
        checkpoint = policies[name]
        if name in done:
            continue
        if checkpoint is None:
            _show(name, "left out: no bundled checkpoint plays it, and no --policy is given")
            continue
        new = measure(plan, name, checkpoint, config.out, partial(_show, name))
        append_lines(results, new)
        lines += new
        write_page(results, values(plan, lines))
    return write_page(results, values(plan, lines))


def _show(game: str, line: str) -> None:
    log_line("credit", f"{game}: {line}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run; return 0 on success, 2 on a wrong call, 1 on a failed run, 130 on Ctrl-C."""
    stopped = "stopped; run the same command again to resume"
    return run_main("credit", lambda: _main(argv), stopped=stopped, failure=1)


def _main(argv: Sequence[str] | None) -> None:
    config = parse_options(Config, argv, prog="python -m agents.train.credit", description=__doc__)
    print(study(PLAN, config))


if __name__ == "__main__":
    sys.exit(main())
