"""Themes: the looks of the pictures, and the choice of a theme for each presentation.

A theme is a table of colours and the name of a layout. Its shapes are in the atlas of the same name
(see `vlbench.sprites`). Each task defines the positions of its elements in each layout.
"""

import difflib
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any, Final, Self

from vlbench.instances import Presentation

Colour = tuple[int, int, int]
MAX_JITTER: Final = 5
"""Largest shift of an element, in pixels; the layouts leave room for it."""


@dataclass(frozen=True, slots=True)
class Theme:
    """The colours of a theme; its shapes are in the atlas of the same name."""

    name: str
    layout: str
    """The layout that each task uses: "classic", "roomy", "inverted" or "columns"."""
    table: Colour
    table_ink: Colour
    paper: Colour
    """Background of pictures without a card table."""
    paper_ink: Colour
    card: Colour
    panel: Colour
    """Background of J, Q, K inside the border."""
    border: Colour
    back: Colour
    suits: tuple[Colour, Colour, Colour, Colour]
    """Inks of clubs, diamonds, hearts, spades."""

    def __hash__(self) -> int:
        """Return the hash of the name, which Python caches; themes are keys of caches."""
        return hash(self.name)


def _two_coloured(black: Colour, red: Colour) -> tuple[Colour, Colour, Colour, Colour]:
    return black, red, red, black


_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)
THEMES = {
    theme.name: theme
    for theme in (
        Theme(
            name="classic",
            layout="classic",
            table=(53, 101, 77),
            table_ink=_WHITE,
            paper=_WHITE,
            paper_ink=_BLACK,
            card=_WHITE,
            panel=(255, 244, 204),
            border=(60, 60, 60),
            back=(34, 64, 150),
            suits=_two_coloured((16, 16, 20), (204, 18, 30)),
        ),
        Theme(
            name="midnight",
            layout="roomy",
            table=(24, 36, 72),
            table_ink=(255, 236, 160),
            paper=(24, 36, 72),
            paper_ink=(255, 236, 160),
            card=(252, 252, 255),
            panel=(222, 232, 250),
            border=(120, 130, 160),
            back=(150, 30, 60),
            suits=((0, 120, 50), (0, 90, 215), (215, 20, 35), (18, 18, 24)),
        ),
        Theme(
            name="parchment",
            layout="roomy",
            table=(104, 66, 40),
            table_ink=(255, 240, 208),
            paper=(242, 226, 188),
            paper_ink=(74, 36, 14),
            card=(250, 240, 214),
            panel=(236, 212, 164),
            border=(74, 36, 14),
            back=(110, 60, 20),
            suits=_two_coloured((48, 28, 18), (168, 28, 20)),
        ),
        Theme(
            name="slate",
            layout="roomy",
            table=(128, 136, 142),
            table_ink=(12, 14, 18),
            paper=(52, 58, 64),
            paper_ink=(240, 244, 248),
            card=(30, 33, 38),
            panel=(66, 56, 88),
            border=(206, 212, 218),
            back=(110, 190, 200),
            suits=((130, 232, 150), (120, 200, 255), (255, 120, 110), (245, 245, 245)),
        ),
        Theme(
            name="typewriter",
            layout="inverted",
            table=(226, 222, 210),
            table_ink=(28, 28, 28),
            paper=(226, 222, 210),
            paper_ink=(28, 28, 28),
            card=_WHITE,
            panel=(212, 212, 208),
            border=(20, 20, 20),
            back=(90, 90, 90),
            suits=_two_coloured((10, 10, 10), (150, 10, 60)),
        ),
        Theme(
            name="storybook",
            layout="inverted",
            table=(96, 20, 48),
            table_ink=(255, 214, 110),
            paper=(250, 240, 245),
            paper_ink=(96, 20, 48),
            card=(255, 250, 236),
            panel=(250, 220, 190),
            border=(150, 100, 30),
            back=(60, 20, 110),
            suits=((20, 60, 60), (190, 80, 0), (176, 0, 60), (40, 20, 90)),
        ),
        Theme(
            name="comic",
            layout="columns",
            table=(255, 196, 72),
            table_ink=(64, 10, 96),
            paper=(140, 214, 236),
            paper_ink=(64, 10, 96),
            card=(224, 246, 255),
            panel=(255, 214, 236),
            border=(64, 10, 96),
            back=(236, 60, 140),
            suits=((0, 104, 84), (226, 60, 0), (214, 0, 110), (34, 24, 150)),
        ),
    )
}
THEME_GROUPS = {
    "train": ("classic", "midnight", "parchment", "slate"),
    "heldout": ("typewriter", "storybook", "comic"),
}
"""Training may use the themes of `train`; those of `heldout` differ in fonts, colours, card art and
layouts."""


class ThemeChoice:
    """The themes of a picture, and the largest shift of its elements.

    Args:
        theme: A theme, or a group whose themes alternate by presentation.
        jitter: Largest shift of an element, 0..MAX_JITTER pixels.

    Raises:
        ValueError: The theme or group doesn't exist, or jitter is out of range.
    """

    def __init__(self, theme: str = "classic", jitter: int = 0) -> None:
        self.themes = _find_themes(theme)
        if isinstance(jitter, bool) or jitter not in range(MAX_JITTER + 1):
            raise ValueError(
                f"jitter must be a whole number of pixels, 0..{MAX_JITTER}, got {jitter}"
            )
        self.jitter = int(jitter)

    @classmethod
    def pop(cls, options: MutableMapping[str, Any]) -> Self:
        """Remove `theme` and `jitter` from the options of an environment."""
        return cls(options.pop("theme", "classic"), options.pop("jitter", 0))

    def of(self, presentation: Presentation) -> Theme:
        """Return the theme of a presentation."""
        return self.themes[presentation.number % len(self.themes)]


def _find_themes(name: str) -> tuple[Theme, ...]:
    if isinstance(name, str) and name in THEMES:
        return (THEMES[name],)
    if isinstance(name, str) and name in THEME_GROUPS:
        return tuple(THEMES[member] for member in THEME_GROUPS[name])
    near = difflib.get_close_matches(str(name), [*THEMES, *THEME_GROUPS], n=1, cutoff=0.5)
    hint = f'; did you mean "{near[0]}"?' if near else ""
    raise ValueError(
        f'unknown theme "{name}"{hint} '
        f"(themes: {', '.join(THEMES)}; groups: {', '.join(THEME_GROUPS)})"
    )
