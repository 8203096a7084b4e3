"""The icons of ALFWorld's pictures: objects, receptacles and signs of states, in a few sizes.

`scripts/make_icons.py` draws them once, from their outlines for each size; `NOTICE` beside them
states their sources. Icons are transparent; `compose` draws them on a background.
"""

import json
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from vlbench.sprites import ASSETS, Sprite
from vlbench.themes import SIZES as PICTURE_SIZES
from vlbench.themes import Colour, scaled

FOLDER = ASSETS / "alfworld"
STATED: Final = {
    112: ("place",),
    72: ("thing", "cue"),
    48: ("thing", "place", "cue"),
    32: ("thing", "place", "cue"),
    24: ("thing", "place", "cue"),
    16: ("thing", "place", "cue"),
}
"""Width and height of the icons, in pixels of SIZE → the groups that have this size."""


def _drawn_sizes() -> dict[int, tuple[str, ...]]:
    sizes: dict[int, set[str]] = {}
    for picture in PICTURE_SIZES:
        for stated, groups in STATED.items():
            sizes.setdefault(scaled(stated, picture), set()).update(groups)
    return {size: tuple(sorted(groups)) for size, groups in sorted(sizes.items())}


SIZES: Final = _drawn_sizes()
"""Width and height of the icons, in pixels of all pictures → the groups that have this size."""
THINGS: Final = tuple(size for size, groups in SIZES.items() if "thing" in groups)
"""Sizes with a question mark icon."""
COLUMNS: Final = 16
"""Icons in a row of a sheet."""

Icon = npt.NDArray[np.uint8]
"""(size, size, 4) uint8: RGB and alpha."""
Tint = tuple[tuple[int, int, int], tuple[int, int, int], tuple[int, int, int]]
"""A colour matrix: rows of weights of red, green and blue, in 256ths."""


@lru_cache
def _index(size: int) -> dict[str, int]:
    names = json.loads((FOLDER / "index.json").read_text())[str(size)]
    return {name: i for i, name in enumerate(names)}


@lru_cache
def _sheet(size: int) -> Icon:
    # Imported here: the import is slow, and only the first picture of a process needs it.
    from PIL import Image

    with (FOLDER / f"icons-{size}.png").open("rb") as file, Image.open(file) as image:
        return np.asarray(image)


def has_icon(name: str, size: int = 16) -> bool:
    """Return whether an icon exists, e.g. "thing/apple" or "place/fridge-open"."""
    return name in _index(size)


def icon(name: str, size: int) -> Icon:
    """Return an icon, or a question mark if there is none.

    Args:
        name: Group and name, e.g. "thing/apple", "place/fridge-open", "cue/hot".
        size: One of `SIZES`.
    """
    if name not in _index(size):
        if size not in THINGS:
            side = max(thing for thing in THINGS if 3 * thing <= 2 * size)
            mark, unknown = icon("thing/unknown", side), np.zeros((size, size, 4), np.uint8)
            edge = (size - side) // 2
            unknown[edge : edge + side, edge : edge + side] = mark
            return unknown
        return icon("thing/unknown", size)
    row, column = divmod(_index(size)[name], COLUMNS)
    return _sheet(size)[row * size : (row + 1) * size, column * size : (column + 1) * size]


def tinted(drawing: Icon, tint: Tint) -> Icon:
    """Return an icon in other colours."""
    mixed = drawing[..., :3].astype(np.int32) @ np.asarray(tint, np.int32).T
    colours = np.clip((mixed + 128) // 256, 0, 255).astype(np.uint8)
    return np.concatenate([colours, drawing[..., 3:]], axis=-1)


def compose(ground: Sprite | Colour, *drawings: Icon) -> Sprite:
    """Return icons of one size, drawn in order over a background."""
    mixed = np.asarray(ground, np.uint32)
    for drawing in drawings:
        cover = drawing[..., 3:].astype(np.uint32)
        mixed = (mixed * (255 - cover) + drawing[..., :3].astype(np.uint32) * cover + 127) // 255
    return mixed.astype(np.uint8)
