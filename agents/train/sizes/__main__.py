"""Where PPO adds nothing: `python -m agents.train.sizes`.

The paper names a weak backbone and a hard task as the limits of its method. For each size of the
model, a start reads numbers and acts by coin flips; PPO then plays lines of four lengths, with
three seeds. One JSON line is appended for each finished unit, and a finished unit isn't run again.
`agents.train.sizes.plan` fixes everything before it is measured.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vlbench.cli import exit_without

if __name__ == "__main__":
    exit_without(("torch", "transformers", "peft", "accelerate"), "sizes", extra="train")

from agents.results.study_lines import Line, read_lines
from agents.train.gains.study import Study
from agents.train.sizes.page import make_page
from agents.train.sizes.plan import SIZES
from vlbench.cli import Options, option, parse_options, run_main, writable_file
from vlbench.errors import unknown_name


@dataclass(frozen=True, kw_only=True)
class Config(Options):
    """Options of `sizes`."""

    out: Path = option(Path("runs/sizes"), "folder of the checkpoints; finished parts are used")
    results: Path = option(
        Path("docs/results/sizes.jsonl"),
        "JSON lines to append to; page and figure are written beside them",
        check=writable_file,
    )
    sizes: str = option("", f"some of {', '.join(SIZES)}, comma-separated; all by default")
    lines: str = option("", "lengths of lines, comma-separated; the plan's by default")
    seeds: str = option("", "seeds, comma-separated; the plan's by default")
    only_page: bool = option(False, "train nothing; write the page from the lines")


def run(config: Config) -> Path:
    """Run the cells that are missing, the smallest size first; return the page.

    Raises:
        ValueError: An option or a file is wrong.
        OSError: A file can't be written.
    """
    results = read_lines(config.results, _is_known)
    for size in [] if config.only_page else _split(config.sizes) or list(SIZES):
        if size not in SIZES:
            raise ValueError(unknown_name("size", size, tuple(SIZES)))
        plan = SIZES[size]
        names = [f"line-{last}" for last in _split(config.lines)] or list(plan.tasks)
        for name in names:
            if name not in plan.tasks:
                raise ValueError(unknown_name("line", name, tuple(plan.tasks)))
            study = Study(
                plan=plan,
                name=name,
                lines=results,
                results=config.results,
                out=config.out / size,
                seeds=tuple(map(int, _split(config.seeds))) or tuple(range(plan.seeds)),
                labels={"size": size},
            )
            study.start()
            for seed in study.seeds:
                study.train("ppo", seed)
            study.test()
    return make_page(SIZES, read_lines(config.results, _is_known), config.results)


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _is_known(line: Line) -> bool:
    plan = SIZES[line["size"]]
    return bool(line["plan"] == plan.digest(line["task"]))


def main(argv: Sequence[str] | None = None) -> int:
    """Run; return 0 on success, 2 on a wrong call, 1 on a failed run, 130 on Ctrl-C."""
    stopped = "stopped; run the same command again to resume"
    return run_main("sizes", lambda: _main(argv), stopped=stopped, failure=1)


def _main(argv: Sequence[str] | None) -> None:
    prog = "python -m agents.train.sizes"
    print(run(parse_options(Config, argv, prog=prog, description=__doc__)))


if __name__ == "__main__":
    sys.exit(main())
