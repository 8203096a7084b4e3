"""Frozen sets of a task and their bounds: `test.jsonl`, `ood.jsonl` and `bounds.json`.

A row is an instance and a presentation; a set names its rows in an order in which any prefix is a
fair small set.
"""

import hashlib
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vlbench.errors import unknown_name
from vlbench.prompts import VARIANTS
from vlbench.registry import task_folder

SUITES = ("test", "ood")
"""Frozen sets a task may bring: held-out rows under the usual rules, and changed rules in pictures
that no training shows."""

SEEDS = "seeds"
"""What stands for the suite where an environment brings none: seeds 0, 1, 2, …"""


@dataclass(frozen=True, slots=True)
class Row:
    """Where an episode starts."""

    env_id: str
    """A registered id."""
    kwargs: dict[str, Any]
    """Keyword arguments of the environment that aren't its defaults."""
    instance: str
    """"" where the episode starts from a seed instead."""
    presentation: int
    """Fixes what doesn't change the game: suits, order, theme, jitter."""
    frame_hash: str = ""
    """sha256 of the first frame; "" where the row isn't frozen."""
    seed: int | None = None
    """Seed of the reset, for a row without an instance."""

    @property
    def options(self) -> dict[str, Any] | None:
        """The options of `reset` that start the episode; None where it starts from a seed."""
        if not self.instance:
            return None
        return {"instance": self.instance, "presentation": self.presentation}

    @property
    def env_key(self) -> str:
        """Names the environment: rows of the same id and keyword arguments share it."""
        return f"{self.env_id} {sorted(self.kwargs.items())}"


@dataclass(frozen=True, slots=True)
class Bounds:
    """What success rates mean on a suite: 0 and 1 of the normalised success."""

    floor: float
    """Success rate of uniformly random actions."""
    ceiling: float
    """Best success rate that any player can expect."""


def _stated(env_id: str, name: str) -> str | None:
    """Return the text of a file in a task's folder, None where there is none."""
    folder = task_folder(env_id)
    if folder is None or not folder.joinpath(name).is_file():
        return None
    return folder.joinpath(name).read_text("utf-8")


def _about(env_id: str) -> dict[str, Any]:
    """Return what a task's `bounds.json` says; nothing where it has none.

    `vlbench.freeze` writes the bounds of each suite and `held_out`. Written by hand: `label`, what
    must be said beside every result; `local`, the environment variable of `local_folder`; and
    `local_label`, the label of the sets there.
    """
    text = _stated(env_id, "bounds.json")
    about: dict[str, Any] = json.loads(text) if text else {}
    return about


def local_folder(env_id: str) -> Path | None:
    """Return the folder of the sets that a user has frozen from data that can't be shipped.

    A task that may have some names an environment variable in its `bounds.json` ("local"); the
    folder is `vlbench` in the folder which that variable names.
    """
    place = os.environ.get(_about(env_id).get("local", ""))
    return Path(place, "vlbench") if place else None


def _local_suites(env_id: str) -> dict[str, Path]:
    folder = local_folder(env_id)
    found = sorted(folder.glob("*.jsonl")) if folder is not None and folder.is_dir() else []
    return {path.stem: path for path in found if path.stem not in SUITES}


def suites(env_id: str) -> tuple[str, ...]:
    """Return the names of an environment's frozen sets; none for one that brings no sets."""
    shipped = [suite for suite in SUITES if _stated(env_id, f"{suite}.jsonl") is not None]
    return (*shipped, *_local_suites(env_id))


def _suite_text(env_id: str, suite: str) -> str | None:
    if suite in SUITES:
        return _stated(env_id, f"{suite}.jsonl")
    path = _local_suites(env_id).get(suite)
    return None if path is None else path.read_text("utf-8")


def frozen_rows(env_id: str, suite: str) -> tuple[Row, ...]:
    """Return a frozen set, in the order in which any prefix of it is a fair small set.

    Raises:
        ValueError: The environment has no such set, or it is damaged.
    """
    text = _suite_text(env_id, suite)
    if text is None:
        raise ValueError(unknown_name(f"suite of {env_id}", suite, suites(env_id)))
    try:
        return tuple(_row(env_id, json.loads(line)) for line in text.splitlines())
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"the set {suite} of {env_id} is damaged: {error}") from error


def _row(env_id: str, data: dict[str, Any]) -> Row:
    """Return the row that a line states; the sets call the hash of the first frame "frame"."""
    return Row(env_id, frame_hash=data.pop("frame", ""), **data)


@dataclass(frozen=True, slots=True)
class RunSpec:
    """Which rows a run plays, and how they are put to the agent."""

    suite: str
    """"test", "ood", the name of a set that the user has frozen, or "seeds"."""
    prompt: str
    """Variant of the prompt: "cot", "action_only" or "cot_facts"."""
    theme: str = ""
    """Theme or group of themes; "" for the suite's own."""
    episodes: int | None = None
    """Rows of each suite, from its beginning; None for all."""
    repeats: int = 1
    """How often each row is played."""
    history: int = 0
    """How many past turns the agent is shown."""

    @property
    def kwargs(self) -> dict[str, Any]:
        """Keyword arguments by which the run changes its environments."""
        prompt = {} if self.prompt == VARIANTS[0] else {"prompt": self.prompt}
        return prompt | ({"theme": self.theme} if self.theme else {})

    def rows(self, env_id: str) -> tuple[Row, ...]:
        """Return the whole frozen set as the run plays it.

        In another theme the first frame isn't the frozen one, so none is wanted.

        Raises:
            ValueError: The environment has no such set, or it is damaged.
        """
        changes = self.kwargs
        return tuple(
            replace(
                row,
                kwargs=row.kwargs | changes,
                frame_hash="" if self.theme else row.frame_hash,
            )
            for row in frozen_rows(env_id, self.suite)
        )


def frozen_hash(env_id: str, suite: str) -> str:
    """Return the sha256 of a frozen set's text; "" where the environment has no such set."""
    text = _suite_text(env_id, suite)
    return "" if text is None else hashlib.sha256(text.encode()).hexdigest()


def bounds(env_id: str, suite: str) -> Bounds | None:
    """Return the floor and ceiling of a suite; None where the task states none."""
    stated = _about(env_id).get(suite)
    return None if stated is None else Bounds(**stated)


def label(env_id: str, suite: str = "") -> str:
    """Return what must be said wherever an environment's results are shown; "" for nothing.

    Args:
        env_id: A registered id.
        suite: The set that was played; one that a user has frozen may be labelled otherwise,
            wherever its results are shown.
    """
    about = _about(env_id)
    usual = str(about.get("label", ""))
    return usual if suite in ("", *SUITES) else str(about.get("local_label", usual))


def held_out(env_id: str) -> bool:
    """Whether a task holds instances out; True where it states nothing of them."""
    return bool(_about(env_id).get("held_out", True))
