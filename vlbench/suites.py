"""Frozen sets of a task and their bounds: `sets/<suite>.jsonl` and `bounds.json` in its folder.

The files decide which sets there are. A row is an instance and a presentation; keyword arguments of
a row may change the rules. The first N rows of a set are a balanced subset of it. Sets and bounds
belong to one id with its rules, which `bounds.json` states: under other rules an environment has
none.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import vlbench
from vlbench.errors import unknown_name
from vlbench.intervals import Interval
from vlbench.registry import (
    Rules,
    rules_of,
    task_folder,
)

TEST = "test"
"""Name of the headline's set: instances and presentations that no training deals, under the usual
rules, in themes of the group `train`."""

PAPER = "paper"
"""Name of the set with RL4VLM's own instances. They are too few to hold any out, so that training
deals some of them, in other presentations; no headline counts it."""

LADDER = "ladder-"
"""Start of the names of sets of increasing difficulty, e.g. "ladder-50"."""

ORDER = (TEST, "ood-looks", "ood-rules", "ood-both", "sealed", PAPER)
"""Names of sets that several tasks ship, in the order of tables; other names follow, ladders last.
`ood-looks` shows the instances of `test` in themes that training never uses, `ood-rules` changes
the rules, `ood-both` changes both, and `sealed` shows instances of `test` in themes that nobody has
looked at."""

RETIRED = ("ood",)
"""Names of sets that earlier versions had: runs and entries on them are recognised, not played."""

SEEDS = "seeds"
"""Name of the suite that deals rows of the `test` split from the seeds 0, 1, 2, …; an environment
without frozen sets has no other."""

ROLLOUTS = "rollouts"
"""Suite in the header of what a trainer played: episodes that no set holds. It can't be played."""

SETS = "sets"
"""Folder of a task's sets, in the task's folder."""

NUM_SEEDS = 50
"""Rows of SEEDS, unless the user asks for another number."""


@dataclass(frozen=True, slots=True)
class Row:
    """Where an episode starts."""

    env_id: str
    """A registered id."""
    kwargs: dict[str, Any]
    """Keyword arguments of the environment that aren't its defaults."""
    instance: str
    """The canonical start; "" if the episode starts from a seed instead."""
    presentation: int
    """Fixes what doesn't change the game: suits, order, theme, jitter."""
    frame_hash: str = ""
    """sha256 of the first frame; "" if the row isn't frozen."""
    seed: int | None = None
    """Seed of the reset, for a row without an instance."""

    @property
    def options(self) -> dict[str, Any] | None:
        """The options of `reset` that start the episode; None if it starts from a seed."""
        if not self.instance:
            return None
        return {"instance": self.instance, "presentation": self.presentation}

    @property
    def env_key(self) -> str:
        """Key of the environment; rows with the same id and keyword arguments share one."""
        return f"{self.env_id} {sorted(self.kwargs.items())}"


@dataclass(frozen=True, slots=True)
class Bounds:
    """The success rates on a suite that normalised success maps to 0 and 1."""

    floor: float
    """Success rate of uniformly random actions."""
    ceiling: float
    """Highest expected success rate of any player."""


@dataclass(frozen=True, slots=True)
class Reference:
    """What a reference player earned on a suite, each row played once."""

    success: float
    """Share of rows whose goal it reached."""
    regret: float
    """Mean exact regret of a turn, as in a scorecard."""
    optimal: float
    """Share of rows in which every turn was optimal."""


@dataclass(frozen=True, slots=True)
class SuiteFacts:
    """What a task's `bounds.json` says of a suite."""

    floor: float
    """As in `Bounds`."""
    ceiling: float
    """As in `Bounds`."""
    instances: int = 0
    """Number of distinct instances, by unit and rules; 0 if it isn't stated."""
    trained: int = 0
    """How many of them training deals, in other presentations."""
    references: dict[str, Reference] = field(default_factory=dict)
    """Player → its results: "random", "heuristic" and "expert". Where a suite changes the rules,
    "old_expert" plays as the usual rules' expert does."""
    visual_gain: Interval | None = None
    """Success of an expert that sees only the picture, minus its success with a blank one, over the
    same rows; None if it isn't stated. A suite whose interval reaches 0 isn't visual."""


def _find_file(env_id: str, name: str) -> Traversable | None:
    """Return a file in a task's folder; None if there is no such file."""
    folder = task_folder(env_id)
    file = None if folder is None else folder.joinpath(name)
    return file if file is not None and file.is_file() else None


def _about(env_id: str) -> dict[str, Any]:
    """Return the content of a task's `bounds.json`; {} if it has none.

    `vlbench.freeze` writes the facts of each suite (`suites`), `held_out`, and the `rules` for
    which they and the sets hold. Written by hand are `label`, a caveat for every result; `local`,
    the environment variable of `local_folder`; and `local_label`, the label of the sets in that
    folder.
    """
    file = _find_file(env_id, "bounds.json")
    about: dict[str, Any] = json.loads(file.read_text("utf-8")) if file else {}
    return about


def local_folder(env_id: str) -> Path | None:
    """Return the folder of the sets that a user has frozen from data which can't be shipped.

    The task's `bounds.json` names an environment variable ("local"), and that variable names a
    folder; the sets are in its subfolder `vlbench`. None if either is missing.
    """
    place = os.environ.get(_about(env_id).get("local", ""))
    return Path(place, "vlbench") if place else None


def _local_suites(env_id: str) -> dict[str, Path]:
    folder = local_folder(env_id)
    files = sorted(folder.glob("*.jsonl")) if folder is not None and folder.is_dir() else []
    shipped = shipped_suites(env_id)
    return {path.stem: path for path in files if path.stem not in shipped}


def shipped_suites(env_id: str) -> tuple[str, ...]:
    """Return the names of the sets in the folder of an environment's task, in ORDER."""
    folder = task_folder(env_id)
    sets = None if folder is None else folder.joinpath(SETS)
    if sets is None or not sets.is_dir():
        return ()
    files = [file.name for file in sets.iterdir()]
    return ordered_suites(name.removesuffix(".jsonl") for name in files if name.endswith(".jsonl"))


def ordered_suites(names: Iterable[str]) -> tuple[str, ...]:
    """Return names of sets, each once, in ORDER; a ladder's rungs by their numbers."""

    def place(name: str) -> tuple[bool, int, list[tuple[int, str]]]:
        known = ORDER.index(name) if name in ORDER else len(ORDER)
        parts = [(int(part or 0), text) for text, part in re.findall(r"(\D+)(\d*)", name)]
        return name.startswith(LADDER), known, parts

    return tuple(sorted(set(names), key=place))


def benchmark_suites() -> tuple[str, ...]:
    """Return the names of all sets that the benchmark's tasks ship, in ORDER."""
    return ordered_suites(suite for env_id in vlbench.ENV_IDS for suite in shipped_suites(env_id))


def suites(env_id: str, kwargs: Mapping[str, Any] = {}) -> tuple[str, ...]:
    """Return the names of an environment's frozen sets, shipped ones first; () if it has none.

    Args:
        env_id: A registered id; the module of "module:id" must have been imported.
        kwargs: Keyword arguments of the environment. Sets for other rules are left out.
    """
    return () if rules_difference(env_id, kwargs) else _all_suites(env_id)


def _all_suites(env_id: str) -> tuple[str, ...]:
    """Return the names of the sets in the folder of an environment's task, for any rules."""
    return (*shipped_suites(env_id), *_local_suites(env_id))


def rules_difference(env_id: str, kwargs: Mapping[str, Any] = {}) -> str:
    """Return in words how an environment's rules differ from those of its task's frozen sets.

    Args:
        env_id: A registered id; the module of "module:id" must have been imported.
        kwargs: Keyword arguments of the environment.

    Returns:
        "" if the rules are the same, or if the task has no frozen sets.
    """
    if not _all_suites(env_id):
        return ""
    rules = stated_rules(env_id)
    if rules is None:
        return "bounds.json states no rules"
    return rules_of(env_id, kwargs).difference(rules)


def stated_rules(env_id: str) -> Rules | None:
    """Return the rules for which a task's sets and bounds hold; None if it doesn't state any."""
    rules = _about(env_id).get("rules")
    return None if rules is None else Rules(**rules)


def _suite_text(env_id: str, suite: str) -> str | None:
    if rules_difference(env_id):
        return None
    file: Traversable | Path | None = _local_suites(env_id).get(suite)
    if suite in shipped_suites(env_id):
        file = _find_file(env_id, f"{SETS}/{suite}.jsonl")
    return None if file is None else file.read_text("utf-8")


def outcomes_file(env_id: str, suite: str) -> Traversable | None:
    """Return the file of the recorded outcomes of a frozen set's rows; None if there is none."""
    if suite in shipped_suites(env_id):
        return _find_file(env_id, f"{SETS}/outcomes/{suite}.jsonl")
    path = _local_suites(env_id).get(suite)
    file = None if path is None else path.parent / "outcomes" / path.name
    return file if file is not None and file.is_file() else None


def frozen_rows(env_id: str, suite: str) -> tuple[Row, ...]:
    """Return the rows of a frozen set; the first N are a balanced subset.

    Raises:
        ValueError: The environment has no such set, or the set is damaged.
    """
    if difference := rules_difference(env_id):
        raise ValueError(f"the frozen sets of {env_id} are for other rules: {difference}")
    text = _suite_text(env_id, suite)
    if text is None:
        raise ValueError(unknown_name(f"suite of {env_id}", suite, suites(env_id)))
    try:
        return tuple(_row(env_id, json.loads(line)) for line in text.splitlines())
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"the set {suite} of {env_id} is damaged: {error}") from error


def _row(env_id: str, data: dict[str, Any]) -> Row:
    """Return the row of a line; the sets call the hash of the first frame "frame"."""
    return Row(env_id, frame_hash=data.pop("frame", ""), **data)


def frozen_hash(env_id: str, suite: str) -> str:
    """Return the sha256 of a frozen set's text; "" if the environment has no such set.

    It hashes the rows alone: neither their recorded outcomes nor `bounds.json`.
    """
    text = _suite_text(env_id, suite)
    return "" if text is None else hashlib.sha256(text.encode()).hexdigest()


def bounds(env_id: str, suite: str) -> Bounds | None:
    """Return the floor and ceiling of a suite; None if none are known for the env's rules."""
    facts = suite_facts(env_id, suite)
    return None if facts is None else Bounds(facts.floor, facts.ceiling)


def suite_facts(env_id: str, suite: str) -> SuiteFacts | None:
    """Return what is known of a shipped suite; None for others, and under other rules."""
    facts = _about(env_id).get("suites", {}).get(suite)
    if facts is None or rules_difference(env_id):
        return None
    players = {name: Reference(**result) for name, result in facts.get("references", {}).items()}
    gain = facts.get("visual_gain")
    measured = None if gain is None else Interval(**gain)
    return SuiteFacts(**{**facts, "references": players, "visual_gain": measured})


def label(env_id: str, suite: str = "") -> str:
    """Return the caveat that belongs beside an environment's results; "" for none.

    Args:
        env_id: A registered id.
        suite: The set that was played; sets that a user has frozen may have a label of their own.
    """
    about = _about(env_id)
    usual = str(about.get("label", ""))
    is_local = suite not in ("", SEEDS, *RETIRED, *shipped_suites(env_id))
    return str(about.get("local_label", usual)) if is_local else usual


def held_out(env_id: str) -> bool:
    """Return whether a task holds instances out; True if its `bounds.json` doesn't say."""
    return bool(_about(env_id).get("held_out", True))
