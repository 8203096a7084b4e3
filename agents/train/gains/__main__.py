"""What PPO adds to a start, and what else would have: `python -m agents.train.gains TASK`.

A model learns to say what pictures show (`reader`), then a task's turns: the start, on one half of
the training instances. PPO, SFT on more of the expert's turns, rejection sampling and DAgger
continue it on the other half, at equal cost, with each seed.
`val` chooses the checkpoints. `--test` plays the frozen sets with what was chosen, once. One JSON
line is appended for each finished unit, and a finished unit isn't run again.
`agents.train.gains.plan` fixes everything before it is measured.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from vlbench.cli import exit_without

if __name__ == "__main__":
    exit_without(("torch", "transformers", "peft", "accelerate"), "gains", extra="train")

from agents.train import TRAINER
from agents.train.credit.lines import append_lines, log_line, read_lines
from agents.train.evaluation import EvalResult
from agents.train.gains.card import write_card
from agents.train.gains.exam import examine
from agents.train.gains.lessons import build_model, copy_model, export_model, learn_lessons
from agents.train.gains.methods import Trained, evaluate_on_val, run_method
from agents.train.gains.page import write_page
from agents.train.gains.plan import FIRST_PILOT, METHODS, Exam, Plan, Task
from agents.train.gains.tasks import PLAN
from agents.vlm.bundled import TASKS
from agents.vlm.checkpoint_files import weights_hash
from vlbench.cli import Options, option, parse_options, required, run_main, writable_file
from vlbench.errors import unknown_name
from vlbench.registry import resolve_env_id

READER = "reader"
"""The unit before all tasks."""
SHIPPED = {"llava-sft": "start", "llava-rl": "ppo"}
"""Name of a bundled agent → the unit whose model it plays, of seed 0."""


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
    reader: Path | None = option(
        None, "checkpoint of the finished reader; by default that in --out, trained if missing"
    )
    start: Path | None = option(None, "checkpoint of the finished start; by default that in --out")
    test: bool = option(False, "train nothing; play the frozen sets with what `val` chose")
    suites: str = option(
        "", "frozen sets that --test plays, comma-separated; by default the plan's for the task"
    )
    ship: bool = option(
        False, "train nothing; copy the start and PPO's model of seed 0 to --checkpoints"
    )
    checkpoints: Path = option(Path("agents/checkpoints"), "folder of the bundled agents' models")
    only_page: bool = option(False, "train and play nothing; write the page from the lines")


@dataclass(frozen=True)
class _Study:
    """A task's study in progress."""

    plan: Plan
    config: Config
    lines: list[dict[str, Any]]

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)

    @property
    def folder(self) -> Path:
        return self.config.out / f"{self.config.task}-{self.plan.digest(self.config.task)}"

    def has(self, **fields: Any) -> bool:
        """Whether a line has these values."""
        return any(
            all(line.get(name) == value for name, value in fields.items())
            for line in self.lines
            if line["task"] == self.config.task
        )

    def add(self, **fields: Any) -> None:
        """Append a line, to the results or to the file of pilots beside them."""
        task = self.config.task
        line = {"task": task, "plan": self.plan.digest(task), "trainer": TRAINER, **fields}
        self.lines.append(line)
        pilot = line["seed"] >= FIRST_PILOT
        results = self.config.results
        target = results.with_name(f"{results.stem}-pilots.jsonl") if pilot else results
        append_lines(target, [line])

    def say(self, text: str) -> None:
        log_line("gains", f"{self.config.task}: {text}")

    def start(self) -> Path:
        """Return the start's checkpoint; it is trained if it isn't there."""
        seed = 0 if not self.seeds or self.seeds[0] < FIRST_PILOT else FIRST_PILOT
        task = self.plan.tasks[self.config.task]
        folder = self.folder / f"start-{seed}"
        checkpoint = self.config.start or self.make_start(task, seed, folder)
        if not self.has(unit="start", seed=seed):
            result = evaluate_on_val(task, checkpoint)
            self.add(
                unit="start", seed=seed, weights=weights_hash(checkpoint), val=_numbers(result)
            )
            self.say(f"start {seed}: {_summary(result)}")
        return checkpoint

    def make_start(self, task: Task, seed: int, folder: Path) -> Path:
        """Train a start; return its checkpoint, in float16 as all later ones."""
        if task.tiny:
            model = build_model(task.tiny, folder / "tiny", 0)
        else:
            model = self.config.reader or read(self.plan, self.config.out)
        taught = learn_lessons(task.lessons, model, folder, seed, self.say)
        return export_model(taught, folder / "model")

    @property
    def seeds(self) -> list[int]:
        """The seeds to run."""
        texts = self.config.seeds.split(",") if self.config.seeds else []
        return [int(text) for text in texts] or list(range(self.plan.seeds))

    def train(self, name: str, seed: int) -> None:
        """Run a method with a seed."""
        if self.has(unit=name, seed=seed):
            return
        self.say(f"{name}, seed {seed}")
        task = self.plan.tasks[self.config.task]
        out = self.folder / name / f"seed-{seed}"
        status = partial(log_line, f"gains {self.config.task} {name} {seed}")
        trained = run_method(name, task, self.start(), seed, out, status)
        (out / "chosen-path").write_text(str(trained.checkpoint.relative_to(out)), "utf-8")
        self.add(unit=name, seed=seed, **_costs(trained))
        self.say(f"{name}, seed {seed}: {_summary(trained.val)}")

    def checkpoints(self) -> Iterator[tuple[str, int, Path]]:
        """Yield what is to be examined: unit, seed, checkpoint."""
        yield "start", 0, self.start()
        for name in METHODS:
            for seed in self.seeds:
                path = self.folder / name / f"seed-{seed}" / "chosen-path"
                if self.has(unit=name, seed=seed) and path.is_file():
                    yield name, seed, path.parent / path.read_text("utf-8")

    def ship(self) -> None:
        """Copy the models of the bundled agents."""
        models = {name: path for name, seed, path in self.checkpoints() if seed == 0}
        for agent, unit in SHIPPED.items():
            if unit not in models:
                raise ValueError(f"no finished {unit} with seed 0 in {self.folder}; run it first")
            folder = self.config.checkpoints / agent / TASKS[resolve_env_id(self.config.task)]
            copy_model(models[unit], folder)
            own = [line for line in self.lines if line["task"] == self.config.task]
            write_card(folder, agent, unit, own)

    def test(self) -> None:
        """Play unseen rows with the start, and with what every method made."""
        task = self.plan.tasks[self.config.task]
        suites = self.config.suites.split(",") if self.config.suites else [task.exam.suite]
        for suite in suites:
            exam = task.exam if suite == task.exam.suite else Exam(suite)
            for name, seed, checkpoint in self.checkpoints():
                if self.has(unit="test", of=name, seed=seed, suite=suite):
                    continue
                out = self.folder / "exam" / f"{suite}-{name}-{seed}"
                length = task.ppo_config().max_new_tokens
                self.say(f"{suite}: {name}, seed {seed}")
                result = examine(task.env, checkpoint, exam, out, length)
                weights = weights_hash(checkpoint)
                self.add(unit="test", of=name, seed=seed, weights=weights, **result)


def read(plan: Plan, out: Path) -> Path:
    """Train the reader, or go on with it; return its checkpoint."""
    folder = out / f"{READER}-{plan.reader()}"
    model = build_model(plan.tiny, folder / "tiny", 0)
    return learn_lessons(plan.reading, model, folder, 0, partial(log_line, "gains reader"))


def _numbers(result: EvalResult) -> dict[str, float]:
    return {
        name.removeprefix("eval/"): round(value, 6)
        for name, value in result.metrics().items()
        if not name.endswith(("low", "high"))
    }


def _costs(trained: Trained) -> dict[str, Any]:
    return {
        "weights": weights_hash(trained.checkpoint),
        "val": _numbers(trained.val),
        "last_val": _numbers(trained.last),
        "examples": round(trained.examples),
        "cpu_seconds": round(trained.cpu_seconds),
    }


def _summary(result: EvalResult) -> str:
    return f"{100 * result.success.value:.1f} % of val, regret {result.regret:.4f}"


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
    running = _Study(plan, config, lines)
    if config.test:
        running.test()
    elif config.ship:
        running.ship()
    elif not config.only_page:
        running.start()
        for seed in running.seeds:
            for name in units:
                if name != "start":
                    running.train(name, seed)
    return write_page(plan, lines, config.results)


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
