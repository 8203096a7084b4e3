"""What a model learns before the study's methods: SFT runs, one after the other.

A lesson's data are transcripts and exercises, written from seeds; its files are kept. A finished
lesson leaves `NAME-model`, all that the next one needs.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from agents.train import exercises, sft, sft_data, tiny
from agents.train.distributed import Processes
from agents.train.reproduce.study import Values, resolved
from agents.train.sft_data import Example
from agents.vlm.loading import load

START_SHARE = "1/2"
"""Every lesson deals this share of the training instances."""

Status = Callable[[str], None]


@dataclass(frozen=True)
class Transcripts:
    """An expert's turns."""

    count: int
    """Largest number of turns."""
    options: Values
    """Options of `sft_data`."""

    def config(self, seed: int = 0) -> sft_data.Config:
        """Return the options with a seed."""
        return sft_data.Config(out=Path(), share=START_SHARE, **{"seed": seed, **self.options})

    def examples(self, seed: int) -> Iterator[Example]:
        """Yield the turns of a seed."""
        return islice(sft_data.transcripts(self.config(seed)), self.count)


@dataclass(frozen=True)
class Exercises:
    """A task's text-only exercises."""

    count: int
    """Number of exercises."""
    env: str
    """The task."""
    options: Values = field(default_factory=dict)
    """Options of the task's exercises."""
    seed: int | None = None
    """Seed that doesn't depend on the start's."""

    def config(self, seed: int = 0) -> exercises.Config:
        """Return the options with a seed."""
        own = seed if self.seed is None else self.seed
        return exercises.Config(
            out=Path(), env=self.env, count=self.count, options=self.options, seed=own
        )

    def examples(self, seed: int) -> Iterator[Example]:
        """Return the exercises of a seed."""
        return exercises.examples(self.config(seed))


@dataclass(frozen=True)
class Lesson:
    """One SFT run, from the model before it."""

    name: str
    data: tuple[Transcripts | Exercises, ...]
    """The parts of its data, which SFT shuffles."""
    sft: Values
    """Options of `sft`."""

    def resolved(self) -> list[Any]:
        """Return the value of every option that decides what the lesson makes."""
        run = resolved(sft.Config(model="", data=Path(), out=Path(), **self.sft))
        data = [[part.count, resolved(part.config())] for part in self.data]
        return [self.name, *data, run]

    def learn(self, model: Path, folder: Path, seed: int) -> Path:
        """Train in a folder, or go on with what it holds; return the model."""
        finished = folder / f"{self.name}-model"
        if finished.is_dir():
            return finished
        data = folder / f"{self.name}.jsonl"
        if not data.is_file():
            parts = enumerate(self.data)
            sft_data.write(data, (row for n, part in parts for row in part.examples(seed + n)))
        config = sft.Config(
            model=str(model), data=data, out=folder / self.name, seed=seed, log="json", **self.sft
        )
        return copy_model(sft.train(config, Processes()), finished)


def learn_lessons(
    lessons: Sequence[Lesson], model: Path, folder: Path, seed: int, status: Status
) -> Path:
    """Train one lesson after the other from a model; return the last one's."""
    for number, lesson in enumerate(lessons, 1):
        status(f"lesson {number} of {len(lessons)}: {lesson.name}")
        model = lesson.learn(model, folder, seed)
    return model


def copy_model(checkpoint: Path, folder: Path) -> Path:
    """Copy a checkpoint without the trainer's state, replacing a folder; return the folder."""
    shutil.rmtree(folder, ignore_errors=True)
    return Path(shutil.copytree(checkpoint, folder, ignore=shutil.ignore_patterns("*.pt")))


def put_text_first(checkpoint: Path, folder: Path) -> Path:
    """Copy a model, which then gets a turn's text before its picture; return the folder.

    What it learned without prompts, it has learned for both orders.
    """
    copy_model(checkpoint, folder)
    (folder / "chat_template.jinja").write_text(tiny.TEXT_FIRST_TEMPLATE, "utf-8")
    return folder


def export_model(checkpoint: Path, folder: Path) -> Path:
    """Save a checkpoint in float16, as it is shipped; return the folder, which may exist."""
    if not folder.is_dir():
        loaded = load(str(checkpoint), device=torch.device("cpu"), dtype=torch.float16)
        partial = folder.with_name(f".partial-{folder.name}")
        shutil.rmtree(partial, ignore_errors=True)
        loaded.model.save_pretrained(partial)
        loaded.processor.save_pretrained(partial)
        partial.rename(folder)
    return folder


def build_model(options: Values, folder: Path, seed: int) -> Path:
    """Return an untrained tiny LLaVA; it is built unless the folder exists."""
    if not folder.is_dir():
        tiny.build(tiny.Config(out=folder, seed=seed, **options))
    return folder
