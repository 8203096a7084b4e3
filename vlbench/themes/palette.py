"""Palettes: how far those of two themes lie apart, and whether one can be read.

All arithmetic is exact or correctly rounded, so that every machine decides alike.
"""

from collections.abc import Iterable
from math import sqrt
from typing import Final

from vlbench.themes.theme import Colour, Theme

NEAR: Final = 100
"""Palettes whose mean distance is less than this are near each other."""
NEAR_SURFACE: Final = 45
"""So are palettes whose tables or papers, which fill most of a picture, are closer than this."""


def distance(one: Colour, other: Colour) -> float:
    """Return how different two colours look, 0..765.

    The weights of red and blue follow the mean red, which comes close to perceived differences
    (Riemersma, "Colour metric", compuphase.com/cmetric.htm).
    """
    red, green, blue = (a - b for a, b in zip(one, other, strict=True))
    mean = one[0] + other[0]  # twice the mean red
    return sqrt(
        ((1024 + mean) * red * red + 2048 * green * green + (1534 - mean) * blue * blue) / 512
    )


def palette_distance(one: Theme, other: Theme) -> float:
    """Return the mean distance of two themes' colours, each from its counterpart."""
    pairs = list(zip(one.colours, other.colours, strict=True))
    return sum(distance(a, b) for a, b in pairs) / len(pairs)


def are_near(one: Theme, other: Theme) -> bool:
    """Return whether two themes' palettes are near: all in all, or in table or paper alone."""
    surfaces = min(distance(one.table, other.table), distance(one.paper, other.paper))
    return surfaces < NEAR_SURFACE or palette_distance(one, other) < NEAR


def luma(colour: Colour) -> int:
    """Return the brightness of a colour, 0..255."""
    red, green, blue = colour
    return (299 * red + 587 * green + 114 * blue) // 1000


def contrast(one: Colour, other: Colour) -> int:
    """Return the difference in brightness, 0..255."""
    return abs(luma(one) - luma(other))


def can_be_read(theme: Theme) -> bool:
    """Return whether texts, ranks, suits and edges stand out against what lies behind them."""
    inks: Iterable[tuple[Colour, Colour, int]] = (
        (theme.table_ink, theme.table, 100),
        (theme.paper_ink, theme.paper, 120),
        *((suit, theme.card, 95) for suit in theme.suits),
        *((suit, theme.panel, 75) for suit in theme.suits),
        (theme.back, theme.card, 60),
        (theme.border, theme.card, 60),
    )
    _, diamonds, _, spades = theme.suits
    return (
        all(contrast(ink, ground) >= least for ink, ground, least in inks)
        and distance(theme.card, theme.table) >= 80
        and distance(diamonds, spades) >= 110
    )
