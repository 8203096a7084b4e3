"""Which estimator sees what a turn was worth? `python -m agents.train.credit`.

Plays whole episodes of each task with a bundled checkpoint, gives the same turns to every estimator
of advantages, and compares each with the environment's exact values. One JSON line a result is
appended when a task is finished; called again, it measures what is missing. A page with tables is
written beside the lines. `agents.train.credit.plan` fixes what is measured.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vlbench.cli import exit_without

if __name__ == "__main__":
    exit_without(("torch", "transformers", "peft", "accelerate"), "credit", extra="train")

from agents.train.credit.measure import Line, measure
from agents.train.credit.page import write_page
from agents.train.credit.plan import PLAN, Plan
from vlbench.cli import Options, option, parse_options, run_main, writable_file
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
    games: str = option("", 'tasks, comma-separated; "" for all')
    only_page: bool = option(False, "measure nothing; write the page from the existing lines")


def read_lines(path: Path, plan: Plan) -> list[Line]:
    """Return the result lines.

    Raises:
        ValueError: A line is damaged, or of another plan.
    """
    lines = []
    texts = path.read_text("utf-8").splitlines() if path.is_file() else []
    for number, text in enumerate(texts, 1):
        try:
            line = json.loads(text)
            known = line["plan"] == plan.digest and line["game"] in plan.games
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path}:{number} isn't a result: {error!r}") from error
        if not known:
            raise ValueError(
                f"{path}:{number} is a result of another plan; remove it, or choose other --results"
            )
        lines.append(line)
    return lines


def study(plan: Plan, config: Config) -> Path:
    """Measure the missing games; return the page.

    Raises:
        ValueError: An option or a file is wrong.
        OSError: A file can't be written.
    """
    results = config.results or config.out / "credit.jsonl"
    names = [name.strip() for name in config.games.split(",")] if config.games else [*plan.games]
    for name in names:
        if name not in plan.games:
            raise ValueError(unknown_name("game", name, plan.games))
    lines = read_lines(results, plan)
    page = results.with_suffix(".md")
    results.parent.mkdir(parents=True, exist_ok=True)
    done = {line["game"] for line in lines}
    for name in names if not config.only_page else ():
        if name in done:
            continue
        new = measure(plan, name, config.out, lambda line, name=name: log_line(f"{name}: {line}"))
        with results.open("a", encoding="utf-8") as file:
            file.write("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in new))
        lines += new
        write_page(plan, lines, page)
    write_page(plan, lines, page)
    return page


def log_line(line: str) -> None:
    """Print a line of progress."""
    print(f"credit: {line}", file=sys.stderr, flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Run; return 0 on success, 2 on a wrong call, 1 on a failed run, 130 on Ctrl-C."""
    stopped = "stopped; run the same command again to resume"
    return run_main("credit", lambda: _main(argv), stopped=stopped, failure=1)


def _main(argv: Sequence[str] | None) -> None:
    config = parse_options(Config, argv, prog="python -m agents.train.credit", description=__doc__)
    print(study(PLAN, config))


if __name__ == "__main__":
    sys.exit(main())
