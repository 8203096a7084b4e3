"""A family of generated looks for training: fonts, card art, layouts and palettes in new mixtures.

Look n follows from hashes of its number, on every machine alike. No look has a font, a layout or
card art of a theme that is held out or sealed, nor a palette near one of theirs.
"""

from colorsys import hls_to_rgb
from functools import lru_cache
from itertools import count
from typing import Final

from vlbench.instances import hashed
from vlbench.themes.groups import THEME_GROUPS, VARIED
from vlbench.themes.handmade import THEMES
from vlbench.themes.palette import are_near, can_be_read, contrast
from vlbench.themes.theme import Colour, Theme

LOOKS: Final = 1024
"""Looks of the family; they are numbered 0..LOOKS−1."""
ATLASES: Final = (*THEME_GROUPS["train"], "headline", "ledger", "bubble")
"""Atlases of letters and of cards."""
LAYOUTS: Final = ("classic", "roomy", "offset")
WHITE: Final[Colour] = (255, 255, 255)
BLACK: Final[Colour] = (0, 0, 0)


class _Draw:
    """Choices that follow from the hash of a key."""

    def __init__(self, key: str) -> None:
        self._key = key

    def number(self, label: str, least: int, most: int) -> int:
        """Return an integer from `least` to `most`."""
        return least + hashed(f"{self._key}|{label}") % (most - least + 1)

    def choice(self, label: str, options: tuple[str, ...]) -> str:
        """Return one of the options."""
        return options[self.number(label, 0, len(options) - 1)]

    def colour(self, label: str, lightness: tuple[int, int], saturation: tuple[int, int]) -> Colour:
        """Return a colour of any hue; lightness and saturation are ranges in per cent."""
        hue = self.number(f"{label} hue", 0, 359) / 360
        light = self.number(f"{label} lightness", *lightness) / 100
        rich = self.number(f"{label} saturation", *saturation) / 100
        red, green, blue = (round(255 * part) for part in hls_to_rgb(hue, light, rich))
        return red, green, blue

    def ink(self, label: str, ground: Colour) -> Colour:
        """Return a colour of text on a ground."""
        is_dark = contrast(ground, WHITE) > contrast(ground, BLACK)
        return self.colour(label, (82, 100) if is_dark else (0, 24), (0, 100))


@lru_cache(maxsize=LOOKS)
def look(number: int) -> Theme:
    """Return a look of the family, 0..LOOKS−1."""
    kept_back = [THEMES[name] for name in (*THEME_GROUPS["heldout"], *THEME_GROUPS["sealed"])]
    for attempt in count():
        theme = _drawn(number, attempt)
        if can_be_read(theme) and not any(are_near(theme, other) for other in kept_back):
            return theme
    raise AssertionError("unreachable")


def _drawn(number: int, attempt: int) -> Theme:
    """Return an attempt at a look, which may be hard to read or near a theme that is held out."""
    draw = _Draw(f"{VARIED}/{number}/{attempt}")
    dark_cards = draw.number("dark cards", 0, 3) == 0
    card = draw.colour("card", (4, 16) if dark_cards else (88, 100), (0, 60))
    table = draw.colour("table", (8, 85), (0, 75))
    paper = draw.colour("paper", (6, 96), (0, 75))
    black, third, fourth = (draw.ink(f"suit {i}", card) for i in range(3))
    red = draw.colour("red", (55, 80) if dark_cards else (24, 44), (60, 100))
    two_colours = draw.number("two colours", 0, 1) == 0
    return Theme(
        name=f"{VARIED}-{number}",
        layout=draw.choice("layout", LAYOUTS),
        table=table,
        table_ink=draw.ink("table ink", table),
        paper=paper,
        paper_ink=draw.ink("paper ink", paper),
        card=card,
        panel=draw.colour("panel", (10, 28) if dark_cards else (76, 97), (0, 90)),
        border=draw.colour("border", (60, 100) if dark_cards else (0, 45), (0, 80)),
        back=draw.colour("back", (45, 80) if dark_cards else (12, 60), (20, 90)),
        suits=(black, red, red, black) if two_colours else (black, red, third, fourth),
        lettering=draw.choice("lettering", ATLASES),
        art=draw.choice("art", ATLASES),
    )
