"""A study of one task: what is finished, what is missing, and the lines of results."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from agents.results.study_lines import append_lines, log_line
from agents.train import TRAINER
from agents.train.evaluation import EvalResult
from agents.train.gains.card import write_card
from agents.train.gains.exam import examine
from agents.train.gains.lessons import (
    build_model,
    copy_model,
    export_model,
    learn_lessons,
    put_text_first,
)
from agents.train.gains.methods import MODEL, Trained, evaluate_on_val, run_method
from agents.train.gains.plan import FIRST_PILOT, METHODS, Exam, Plan, Task
from agents.vlm.bundled import TASKS
from agents.vlm.checkpoint_files import weights_hash
from vlbench.registry import resolve_env_id

READER = "reader"
"""The unit before all tasks."""
SHIPPED = {"llava-sft": "start", "llava-rl": "ppo"}
"""Name of a bundled agent → the unit whose model it plays, of seed 0."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """A task's study in progress."""

    plan: Plan
    name: str
    """The task's name in the plan."""
    lines: list[dict[str, Any]]
    """Result lines, to which new ones are added; those of other tasks and plans are ignored."""
    results: Path
    """The file of result lines."""
    out: Path
    """Folder of the checkpoints."""
    seeds: tuple[int, ...]
    base: Path | None = None
    """Checkpoint that the start continues, of the finished reader or of another task's start; by
    default that in `out`, trained if missing."""
    start_model: Path | None = None
    """Checkpoint of the finished start; by default that in `out`, trained if missing."""
    labels: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of every line."""

    def __post_init__(self) -> None:
        """Make the folder."""
        self.folder.mkdir(parents=True, exist_ok=True)

    @property
    def task(self) -> Task:
        """The task's plan."""
        return self.plan.tasks[self.name]

    @property
    def folder(self) -> Path:
        """The folder of the task's checkpoints."""
        return self.out / f"{self.name}-{self.plan.digest(self.name)}"

    def has(self, **fields: Any) -> bool:
        """Whether a line has these values."""
        return any(
            all(line.get(name) == value for name, value in fields.items())
            for line in self.own_lines
        )

    @property
    def own_lines(self) -> list[dict[str, Any]]:
        """The result lines of this plan's task."""
        key = (self.name, self.plan.digest(self.name))
        return [line for line in self.lines if (line["task"], line["plan"]) == key]

    def add(self, **fields: Any) -> None:
        """Append a line, to the results or to the file of pilots beside them."""
        own = {"task": self.name, "plan": self.plan.digest(self.name), "trainer": TRAINER}
        line = {**self.labels, **own, **fields}
        self.lines.append(line)
        pilot = line["seed"] >= FIRST_PILOT
        pilots = self.results.with_name(f"{self.results.stem}-pilots.jsonl")
        target = pilots if pilot else self.results
        append_lines(target, [line])

    def say(self, text: str) -> None:
        """Show a line of progress."""
        log_line("gains", f"{self.name}: {text}")

    def start(self) -> Path:
        """Return the start's checkpoint; it is trained if it isn't there."""
        seed = 0 if not self.seeds or self.seeds[0] < FIRST_PILOT else FIRST_PILOT
        task = self.task
        folder = self.folder / f"start-{seed}"
        checkpoint = self.start_model or self.make_start(task, seed, folder)
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
            model = self.base or self._make_base(task.base)
        if task.text_first:
            model = put_text_first(model, folder / "text-first")
        model = learn_lessons(task.lessons, model, folder, seed, self.say)
        return export_model(model, folder / MODEL)

    def _make_base(self, name: str) -> Path:
        if not name:
            return read(self.plan, self.out)
        return replace(self, name=name, base=None, start_model=None, seeds=(0,)).start()

    def train(self, name: str, seed: int) -> None:
        """Run a method with a seed."""
        if self.has(unit=name, seed=seed):
            return
        self.say(f"{name}, seed {seed}")
        task = self.task
        out = self.folder / name / f"seed-{seed}"
        status = partial(log_line, f"gains {self.name} {name} {seed}")
        trained = run_method(name, task, self.start(), seed, out, status)
        self.add(unit=name, seed=seed, **_costs(trained))
        self.say(f"{name}, seed {seed}: {_summary(trained.val)}")

    def checkpoints(self) -> Iterator[tuple[str, int, Path]]:
        """Yield what is to be examined: unit, seed, checkpoint."""
        yield "start", 0, self.start()
        for name in METHODS:
            for seed in self.seeds:
                model = self.folder / name / f"seed-{seed}" / MODEL
                if self.has(unit=name, seed=seed) and model.is_dir():
                    yield name, seed, model

    def ship(self, checkpoints: Path) -> None:
        """Copy the models of the bundled agents to a folder.

        Raises:
            ValueError: One isn't finished, or the agents don't play the task.
        """
        env_id = resolve_env_id(self.task.env)
        if env_id not in TASKS:
            raise ValueError(
                f"the bundled agents don't play {env_id}; they play {', '.join(TASKS)}"
            )
        models = {name: path for name, seed, path in self.checkpoints() if seed == 0}
        for agent, unit in SHIPPED.items():
            if unit not in models:
                raise ValueError(f"no finished {unit} with seed 0 in {self.folder}; run it first")
            folder = checkpoints / agent / TASKS[env_id]
            copy_model(models[unit], folder)
            write_card(folder, agent, unit, self.own_lines)

    def exam_folder(self, suite: str, name: str, seed: int) -> Path:
        """Return the folder of an examination's run."""
        return self.folder / "exam" / f"{suite}-{name}-{seed}"

    def test(self, suites: Sequence[str] = (), sampled: bool = False) -> None:
        """Play unseen rows with the start, and with what every method made.

        Args:
            suites: Frozen sets; by default the plan's exam.
            sampled: Whether replies are sampled, also where the plan's exam is greedy.
        """
        task = self.task
        for suite in suites or [task.exam.suite]:
            exam = task.exam if suite == task.exam.suite else Exam(suite)
            exam = replace(exam, sampled=exam.sampled or sampled)
            for name, seed, checkpoint in self.checkpoints():
                if self.has(unit="test", of=name, seed=seed, suite=exam.label):
                    continue
                out = self.exam_folder(exam.label, name, seed)
                self.say(f"{exam.label}: {name}, seed {seed}")
                result = examine(task, checkpoint, exam, out)
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
        **({"curve": [[*astuple(point)] for point in trained.curve]} if trained.curve else {}),
    }


def _summary(result: EvalResult) -> str:
    return f"{100 * result.success.value:.1f} % of val, regret {result.regret:.4f}"
