"""The official games, for those who have downloaded them to `$ALFWORLD_DATA`.

Their instances end in a trial's name: `alfworld/<type>/<floor plan>-T20190906_190325_123456`. They
make frozen sets of their own names, on the user's machine (their data can't be shipped): see
`suites_official`.
"""

import json
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from vlbench.tasks.alfworld.games.generator import KINDS, GameData, Goal

DATA = "ALFWORLD_DATA"
"""Environment variable that names the folder of the data."""

GAMES = "json_2.1.1"
"""Folder of the games in there."""

TRAJECTORY = "traj_data.json"
"""File that describes a trial, in the trial's folder."""

HASHES = "games.json"
"""Instance → sha256 of its game, when the sets were frozen."""


def games_folder() -> Path:
    """Return the folder of the official games.

    Raises:
        ValueError: There is none; says how to get it.
    """
    named = os.environ.get(DATA, "")
    folder = Path(named, GAMES)
    if not named or not folder.is_dir():
        place = f"{folder} isn't there" if named else f"${DATA} isn't set"
        raise ValueError(f"no official games: {place}; alfworld-download fetches them")
    return folder


def game(instance: str) -> GameData:
    """Return an official game.

    Raises:
        ValueError: It isn't there, is damaged, or isn't what it was when the sets were frozen.
    """
    folder = games_folder()
    place = _trials(folder).get(instance)
    if place is None:
        raise ValueError(f'no official game "{instance}" in {folder}')
    data, trial = (_read(place / name) for name in ("game.tw-pddl", TRAJECTORY))
    kind = instance.split("/")[1]
    if trial.get("task_type") != kind:
        told = f"its task is {trial.get('task_type')!r}, not {kind}"
        raise ValueError(f"{place} is damaged: {told}; download the games again")
    try:
        wanted = trial["pddl_params"]
        goal = Goal(
            kind,
            wanted["object_target"].lower(),
            (wanted["parent_target"] or "").lower(),
            (wanted["toggle_target"] or "").lower(),
        )
        texts = [str(data[name]) for name in ("pddl_domain", "grammar", "pddl_problem")]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{place} is damaged: no {error}; download the games again") from error
    found = GameData(scene_of(instance), goal, *texts)
    frozen = frozen_hashes(folder.parent / "vlbench").get(instance, found.sha256)
    if frozen != found.sha256:
        raise ValueError(
            f'the game "{instance}" isn\'t what it was when it was frozen (sha256 '
            f"{found.sha256[:12]}…, not {frozen[:12]}…); download the games again"
        )
    return found


def scene_of(instance: str) -> int:
    """Return the floor plan of "alfworld/<type>/<floor plan>-<trial>"."""
    return int(instance.rpartition("/")[2].partition("-")[0])


def is_played(trial: str) -> bool:
    """Return whether ALFWorld plays "<task>/<trial>".

    It does if the task is of the six types, without movable receptacles and sliced objects.
    """
    return trial.partition("-")[0] in KINDS and "movable" not in trial and "Sliced" not in trial


def instances(split: str) -> list[str]:
    """Return the games of a split that can be solved, sorted."""
    folder = games_folder()
    return sorted(
        instance
        for instance, place in _trials(folder).items()
        if place.parent.parent.name == split and _read(place / "game.tw-pddl").get("solvable")
    )


@lru_cache(maxsize=8)
def _trials(folder: Path) -> Mapping[str, Path]:
    """Return the folder of each game that ALFWorld plays, by instance."""
    found = {}
    for path in sorted(folder.glob("*/*/trial_*/game.tw-pddl")):
        task, name = path.parts[-3:-1]
        if is_played(f"{task}/{name}") and path.with_name(TRAJECTORY).exists():
            kind, *_, scene = task.split("-")
            found[f"alfworld/{kind}/{scene}-{name.removeprefix('trial_')}"] = path.parent
    return found


@lru_cache(maxsize=8)
def frozen_hashes(folder: Path) -> Mapping[str, str]:
    """Return the hashes of the games when the sets were frozen, by instance."""
    path = folder / HASHES
    return _read(path) if path.is_file() else {}


def _read(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} can't be read: {error}; download the games again") from error
    if not isinstance(data, dict):
        raise ValueError(f"{path} is damaged: wanted an object; download the games again")
    return data
