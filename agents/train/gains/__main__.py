"""What PPO adds to a start, and what else would have: `python -m agents.train.gains TASK`.

A model learns to say what pictures show (`reader`), then a task's turns: the start, on one half of
the training instances. PPO, SFT on more of the expert's turns, rejection sampling and DAgger
continue it on the other half, at equal cost, with each seed.
`val` chooses the checkpoints. `--test` plays the frozen sets with what was chosen, once. One JSON
line is appended for each finished unit, and a finished unit isn't run again.
`agents.train.gains.plan` fixes everything before it is measured.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vlbench.cli import exit_without

if __name__ == "__main__":
    exit_without(("torch", "transformers", "peft", "accelerate"), "gains", extra="train")

from agents.results.study_lines import read_lines
from agents.results.study_page import write_page
from agents.train.gains.page import values
from agents.train.gains.plan import METHODS, Plan
from agents.train.gains.study import READER, Study, read
from agents.train.gains.tasks import PLAN
from vlbench.cli import Options, option, parse_options, required, run_main, writable_file
from vlbench.errors import unknown_name


@dataclass(frozen=True, kw_only=True)
class Config(Options):
    """Options of `gains`."""

    task: str = required(
        "the task, or reader: the model that all tasks continue",
        positional=True,
        metavar="TASK",
        choices=(READER, *PLAN.tasks),
    )
    out: Path = option(Path("runs/gains"), "folder of the checkpoints; finished parts are used")
    results: Path = option(
        Path("docs/results/gains.jsonl"),
        "JSON lines to append to; the page is written beside them",
        check=writable_file,
    )
    units: str = option("", "start, or methods, comma-separated; all by default")
    seeds: str = option("", "seeds, comma-separated; the plan's by default")
    base: Path | None = option(
        None,
        "checkpoint that the task's start continues: of the finished reader, or of the start of "
        "the task that the plan names; by default that in --out, trained if missing",
    )
    start: Path | None = option(None, "checkpoint of the finished start; by default that in --out")
    test: bool = option(False, "train nothing; play the frozen sets with what `val` chose")
    suites: str = option(
        "", "frozen sets that --test plays, comma-separated; by default the plan's for the task"
    )
    sampled: bool = option(False, "with --test, sample replies as in rollouts")
    ship: bool = option(
        False, "train nothing; copy the start and PPO's model of seed 0 to --checkpoints"
    )
    checkpoints: Path = option(Path("agents/checkpoints"), "folder of the bundled agents' models")
    only_page: bool = option(False, "train and play nothing; write the page from the lines")


def split_seeds(text: str, plan: Plan) -> tuple[int, ...]:
    """Return comma-separated seeds; the plan's if there are none.

    Raises:
        ValueError: One isn't an integer.
    """
    return tuple(map(int, text.split(","))) if text else tuple(range(plan.seeds))


def study(plan: Plan, config: Config) -> Path:
    """Run what is missing; return the page.

    Raises:
        ValueError: An option or a file is wrong.
        OSError: A file can't be written.
    """
    units = [name.strip() for name in config.units.split(",")] if config.units else [*METHODS]
    for name in units:
        if name not in ("start", *METHODS):
            raise ValueError(unknown_name("unit", name, ("start", *METHODS)))
    lines = read_lines(
        config.results,
        lambda line: line["task"] in plan.tasks and line["plan"] == plan.digest(line["task"]),
    )
    running = Study(
        plan=plan,
        name=config.task,
        lines=lines,
        results=config.results,
        out=config.out,
        seeds=split_seeds(config.seeds, plan),
        base=config.base,
        start_model=config.start,
    )
    if config.test:
        running.test([name for name in config.suites.split(",") if name], config.sampled)
    elif config.ship:
        running.ship(config.checkpoints)
    elif not config.only_page:
        running.start()
        for seed in running.seeds:
            for name in units:
                if name != "start":
                    running.train(name, seed)
    return write_page(config.results, values(plan, lines))


def main(argv: Sequence[str] | None = None) -> int:
    """Run; return 0 on success, 2 on a wrong call, 1 on a failed run, 130 on Ctrl-C."""
    stopped = "stopped; run the same command again to resume"
    return run_main("gains", lambda: _main(argv), stopped=stopped, failure=1)


def _main(argv: Sequence[str] | None) -> None:
    prog = "python -m agents.train.gains"
    config = parse_options(Config, argv, prog=prog, description=__doc__)
    print(read(PLAN, config.out) if config.task == READER else study(PLAN, config))


if __name__ == "__main__":
    sys.exit(main())
