"""Themes: the looks of the pictures, and the choice of a theme for each presentation.

A theme is a table of colours, the name of a layout, and the atlases of its letters and cards (see
`vlbench.sprites`). Each task defines the positions of its elements in each layout.
"""

import difflib
from collections.abc import MutableMapping
from typing import Any, Final, Self

from vlbench.instances import Presentation
from vlbench.themes.family import LOOKS, look
from vlbench.themes.groups import SEALED, THEME_GROUPS, VARIED
from vlbench.themes.handmade import THEMES
from vlbench.themes.theme import SIZE, SIZES, Colour, Theme, resized, scaled

__all__ = [
    "LOOKS",
    "MAX_JITTER",
    "SEALED",
    "SIZE",
    "SIZES",
    "THEMES",
    "THEME_GROUPS",
    "VARIED",
    "Colour",
    "Theme",
    "ThemeChoice",
    "check_open",
    "find_theme",
    "scaled",
]

MAX_JITTER: Final = 5
"""Largest shift of an element, in pixels of SIZE; the layouts leave room for it."""


class ThemeChoice:
    """The themes of a picture, the largest shift of its elements, and its size.

    Args:
        theme: A theme, or a look of the family ("varied-17"); a group, whose themes alternate by
            presentation; or "varied", of whose looks each presentation has one.
        jitter: Largest shift of an element, 0..MAX_JITTER pixels of SIZE.
        size: Width and height of the picture, one of SIZES.

    Raises:
        ValueError: The theme or group doesn't exist, jitter is out of range, or there is no such
            size.
    """

    def __init__(self, theme: str = "classic", jitter: int = 0, size: int = SIZE) -> None:
        if isinstance(size, bool) or size not in SIZES:
            known = ", ".join(map(str, SIZES))
            raise ValueError(f"picture_size must be one of {known}, got {size!r}")
        self.size = int(size)
        self.themes = tuple([resized(theme, self.size) for theme in _find_themes(theme)])
        """The themes; () for the looks of the family."""
        if isinstance(jitter, bool) or jitter not in range(MAX_JITTER + 1):
            raise ValueError(
                f"jitter must be a whole number of pixels, 0..{MAX_JITTER}, got {jitter}"
            )
        self.jitter = int(jitter)

    @classmethod
    def pop(cls, options: MutableMapping[str, Any]) -> Self:
        """Remove `theme`, `jitter` and `picture_size` from the options of an environment."""
        return cls(
            options.pop("theme", "classic"),
            options.pop("jitter", 0),
            options.pop("picture_size", SIZE),
        )

    def of(self, presentation: Presentation) -> Theme:
        """Return the theme of a presentation."""
        if not self.themes:
            return resized(look(presentation.pick("look", LOOKS)), self.size)
        return self.themes[presentation.number % len(self.themes)]


def check_open(theme: str, use: str) -> None:
    """Refuse a sealed theme, for whatever isn't an evaluation.

    Args:
        theme: A theme or group, which may be unknown.
        use: What would show it, e.g. "training".

    Raises:
        ValueError: The theme is sealed.
    """
    if theme == SEALED or theme in THEME_GROUPS[SEALED]:
        raise ValueError(
            f'the theme "{theme}" is sealed: no {use} may show it, only '
            "`evaluate --suite sealed`; take train or varied"
        )


def find_theme(name: str) -> Theme | None:
    """Return the theme, or the look of the family, of this name; None if there is none."""
    if theme := THEMES.get(name):
        return theme
    family, _, number = name.rpartition("-")
    if family == VARIED and number in map(str, range(LOOKS)):
        return look(int(number))
    return None


def _find_themes(name: str) -> tuple[Theme, ...]:
    if isinstance(name, str) and (theme := find_theme(name)):
        return (theme,)
    if isinstance(name, str) and name in THEME_GROUPS:
        return tuple(THEMES[member] for member in THEME_GROUPS[name])
    if name == VARIED:
        return ()
    groups = (*THEME_GROUPS, VARIED)
    near = difflib.get_close_matches(str(name), [*THEMES, *groups], n=1, cutoff=0.5)
    hint = f'; did you mean "{near[0]}"?' if near else ""
    raise ValueError(
        f'unknown theme "{name}"{hint} (themes: {", ".join(THEMES)}; groups: {", ".join(groups)})'
    )
