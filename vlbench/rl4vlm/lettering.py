"""Lines of text where libraqm puts their characters, as in the original's pictures.

The original draws with Pillow, whose usual layout engine is libraqm: it places characters at
fractions of a pixel and moves "Ta", "Fo" and "rm" closer together. The numbers below are those of
DejaVu Sans, so that the pictures don't depend on what is installed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from vlbench.sprites import Blit, Font, Mask, Sprite, blit

UNIT = 64
"""Advances are in this fraction of a pixel."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word that the atlas holds as one mask, spaced as without kerning."""

    advance: int
    moves: Mapping[int, int]
    """Column of the mask → how many pixels it and the columns after it move to the right."""


@dataclass(frozen=True, slots=True)
class Metrics:
    """The measures of a font size."""

    words: Mapping[str, Word]
    advances: Mapping[str, int]
    """Character → its advance."""


def _advances(space: int, digit: int, operators: Mapping[str, int]) -> dict[str, int]:
    return {" ": space, **dict.fromkeys("0123456789", digit), **operators}


METRICS = {
    "display": Metrics(
        {"Target:": Word(9200, {0: 0, 25: -5}), "Current:": Word(10828, {0: 0})},
        _advances(802, 1603, {}),
    ),
    "large": Metrics(
        {"Formula:": Word(5606, {0: 0, 12: -1})},
        _advances(407, 814, {"(": 499, ")": 499, "*": 640, "+": 1073, "-": 462, "/": 431}),
    ),
    "small": Metrics(
        {"Formula:": Word(4488, {0: 0, 19: -1, 42: -2, 56: -1})},
        _advances(326, 652, {"(": 400, ")": 400, "*": 512, "+": 858, "-": 370, "/": 345}),
    ),
}
"""Role of a font in the theme "classic" → its measures: DejaVu Sans Bold 36, DejaVu Sans 20 and
16."""


@lru_cache(maxsize=256)
def draw_line(font: Font, role: str, parts: tuple[str, ...], width: int) -> Sprite:
    """Return the sprite of a line, cut at its width.

    Args:
        font: The font of the theme "classic" for the role.
        role: A key of METRICS.
        parts: Words, and texts of digits, operators and spaces, to be drawn one after the other.
        width: Width of the sprite in pixels.
    """
    metrics = METRICS[role]
    mask = np.zeros((font.height, width), np.uint8)
    x = 0
    for part in parts:
        if part in metrics.words:
            word = metrics.words[part]
            _put_word(mask, font.mask(part), _pixel(x), word)
            x += word.advance
            continue
        for character in part:
            if character != " ":
                _put(mask, font.mask(character), _pixel(x))
            x += metrics.advances[character]
    return font.colour(mask)


def line_blit(
    font: Font, role: str, parts: Sequence[str], corner: tuple[int, int], right: int
) -> Blit:
    """Return a line with its top-left corner there, padded or cut at the column `right`."""
    x, y = corner
    return blit(draw_line(font, role, tuple(parts), right - x), x, y + font.top)


def _pixel(x: int) -> int:
    return (x + UNIT // 2) // UNIT


def _put_word(line: Mask, mask: Mask, x: int, word: Word) -> None:
    for start, end in pairwise([*word.moves, mask.shape[1]]):
        _put(line, mask[:, start:end], x + start + word.moves[start])


def _put(line: Mask, mask: Mask, x: int) -> None:
    """Add a mask at a column; where inks overlap, the darker counts."""
    part = line[:, x : x + mask.shape[1]]
    np.maximum(part, mask[:, : part.shape[1]], out=part)
