"""The official episodes, if they have been downloaded to `$ALFWORLD_DATA/json_2.1.1`.

They are listed by the names of their folders; no file is read. vlbench never downloads them; users
run `alfworld-download`.
"""

import os
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from vlbench.task import instance_body
from vlbench.tasks.alfworld.games.official import DATA, GAMES, TRAJECTORY, is_played

NAME = "alfworld_thor"

EXAMPLE = (
    f"{NAME}/valid_unseen/pick_and_place_simple-Mug-None-Desk-308/trial_T20190908_133040_000000"
)

FOLDERS: dict[str, tuple[str, ...]] = {
    "all": ("train", "valid_seen", "valid_unseen"),
    "train": ("train",),
    "val": ("valid_seen",),
    "test": ("valid_unseen",),
}
"""Split → ALFRED's folders."""


def data_folder() -> Path:
    """Return the episodes' folder; alfworld's default if `$ALFWORLD_DATA` isn't set."""
    root = os.environ.get(DATA) or "~/.cache/alfworld"
    return Path(root).expanduser() / GAMES


def trials(split: str) -> tuple[str, ...]:
    """Return the instances of a split, sorted.

    These are the trials that ALFWorld plays: its six types, without movable receptacles and sliced
    objects.
    """
    return tuple(sorted(chain.from_iterable(map(_inside, FOLDERS[split]))))


def any_trial() -> str:
    """Return any instance; "" if there is none."""
    return next(chain.from_iterable(map(_inside, FOLDERS["all"])), "")


def trajectory(instance: str) -> Path:
    """Return the file that describes an episode.

    Raises:
        ValueError: The episode doesn't exist.
    """
    body = instance_body(instance, NAME, EXAMPLE)
    file = data_folder() / body / TRAJECTORY
    folder, _, rest = body.partition("/")
    is_trial = folder in FOLDERS["all"] and len(Path(rest).parts) == 2 and ".." not in body
    if not is_trial or not is_played(rest) or not file.is_file():
        raise ValueError(
            f'unknown instance "{instance}": wanted {NAME}/<{"|".join(FOLDERS["all"])}>/<task>/'
            f"<trial> from {data_folder()}, of one of ALFWorld's six types"
        )
    return file


def _inside(folder: str) -> Iterator[str]:
    for file in (data_folder() / folder).glob(f"*/*/{TRAJECTORY}"):
        if is_played("/".join(file.parts[-3:-1])):
            yield "/".join((NAME, folder, *file.parts[-3:-1]))
