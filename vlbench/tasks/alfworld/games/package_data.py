"""The data of the `alfworld` package, read from its files without importing it.

Importing `alfworld` would make a folder in the user's home and set an environment variable. The
layouts come from ALFRED; the package is MIT-licensed.
"""

import json
import re
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

PARTS = {"alfworld": "alfworld", "textworld": "textworld", "fast_downward": "textworld[pddl]"}
"""Module that the engine needs → package that provides it."""

INSTALL = 'pip install "vlbench[alfworld]"'

FLOOR_PLANS = (*range(1, 31), *range(201, 231), *range(301, 331), *range(401, 431))
"""THOR's rooms: kitchens, living rooms, bedrooms, bathrooms."""


def check_installed() -> None:
    """Check that the engine is installed, without loading it.

    Raises:
        ImportError: A part is missing; the message says how to install it.
    """
    missing = [package for module, package in PARTS.items() if find_spec(module) is None]
    if missing:
        raise ImportError(f"ALFWorld needs its engine ({', '.join(missing)} missing): {INSTALL}")


def engine_versions() -> str:
    """Return the versions that determine the games, e.g. "alfworld 0.4.2, textworld 1.7.0"."""
    return ", ".join(f"{name} {_version(name)}" for name in ("alfworld", "textworld"))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "of unknown version"


def folder() -> Path:
    """Return the package's folder.

    Raises:
        ImportError: It isn't installed.
    """
    check_installed()
    spec = find_spec("alfworld")
    assert spec is not None and spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0])


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts that all games share."""

    domain: str
    """The PDDL domain."""
    grammar: str
    """The grammar of feedback and commands, with "UNKNOWN GOAL" as its goal."""


@cache
def texts() -> Texts:
    """Read the domain and the grammar."""
    data = folder() / "data"
    return Texts(*((data / name).read_text("utf-8") for name in ("alfred.pddl", "alfred.twl2")))


@dataclass(frozen=True, slots=True)
class Affordances:
    """The possible actions on classes of things, e.g. "Apple" and "Fridge"."""

    holds: dict[str, frozenset[str]]
    """Receptacle class → classes of objects that it can hold."""
    actions: dict[str, frozenset[str]]
    """"Heatable", "Coolable", "Cleanable" → classes of objects."""
    openable: frozenset[str]
    receptacles: frozenset[str]
    rooms: dict[str, frozenset[str]]
    """Task type → kinds of rooms that allow it."""
    plans: dict[str, range]
    """Kind of room → floor plans."""


@cache
def affordances() -> Affordances:
    """Read the tables."""
    tables = _module("constants")
    return Affordances(
        {name: frozenset(held) for name, held in tables.VAL_RECEPTACLE_OBJECTS.items()},
        {name: frozenset(who) for name, who in tables.VAL_ACTION_OBJECTS.items()},
        frozenset(tables.OPENABLE_CLASS_LIST),
        frozenset(tables.RECEPTACLES),
        {name: frozenset(rooms) for name, rooms in tables.GOALS_VALID.items()},
        dict(tables.SCENE_TYPE),
    )


@dataclass(frozen=True, slots=True)
class Templates:
    """The goal templates of a task type."""

    pddl: str
    """The goal in PDDL with the fields {obj}, {recep} and {toggle}, and the closing parenthesis."""
    sentences: tuple[str, ...]


@cache
def templates(kind: str) -> Templates:
    """Read a task type's goal templates."""
    entry = _module("goal_library").gdict[kind]
    goal = re.sub(r"\s+", " ", entry["pddl"]).strip().replace("#", "-")
    return Templates(goal, tuple(entry["templates"]))


@dataclass(frozen=True, slots=True)
class FloorPlan:
    """One of THOR's rooms."""

    receptacles: tuple[str, ...]
    """THOR's ids of the reachable receptacles, sorted."""
    classes: tuple[str, ...]
    """Classes of all things in the room, sorted."""


@cache
def floor_plan(number: int) -> FloorPlan:
    """Read a floor plan."""
    layouts = folder() / "gen" / "layouts"
    positions: dict[str, Any] = json.loads(
        (layouts / f"FloorPlan{number}-openable.json").read_text()
    )
    classes: list[str] = json.loads((layouts / f"FloorPlan{number}-objects.json").read_text())
    return FloorPlan(tuple(sorted(positions)), tuple(sorted(set(classes))))


@cache
def _module(name: str) -> ModuleType:
    """Execute one of the package's table files without importing the package."""
    spec = spec_from_file_location(f"{__name__}_{name}", folder() / "gen" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
