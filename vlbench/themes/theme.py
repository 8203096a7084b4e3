"""A theme: the colours and shapes of all pictures, in one of their sizes."""

from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final

SIZE: Final = 300
"""Width and height of a picture, in pixels, unless the user asks for another; all layouts are
stated in pixels of this size."""
SIZES: Final = (224, SIZE, 448, 672)
"""The sizes that have atlases of their own."""

Colour = tuple[int, int, int]
"""Red, green and blue, 0..255."""


@dataclass(frozen=True, slots=True)
class Theme:
    """The colours of a theme, its layout, and the atlases that hold its shapes."""

    name: str
    layout: str
    """The layout that each task uses; each task defines all of them."""
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
    lettering: str = ""
    """The atlas of its texts; "" for the one of its own name."""
    art: str = ""
    """The atlas of its cards; "" for the one of its own name."""
    size: int = field(default=SIZE, repr=False)
    """Width and height of the pictures, in pixels: one of SIZES."""

    def __post_init__(self) -> None:
        """Fill in the atlases."""
        object.__setattr__(self, "lettering", self.lettering or self.name)
        object.__setattr__(self, "art", self.art or self.name)

    def __hash__(self) -> int:
        """Return the hash of the name, which Python caches; themes are keys of caches."""
        return hash(self.name)

    def px(self, length: int) -> int:
        """Return the pixels of a length that is stated for pictures of SIZE."""
        return scaled(length, self.size)

    @property
    def colours(self) -> tuple[Colour, ...]:
        """All twelve colours, in the order of the fields."""
        return (
            *(self.table, self.table_ink, self.paper, self.paper_ink),
            *(self.card, self.panel, self.border, self.back),
            *self.suits,
        )


def scaled(length: int, size: int) -> int:
    """Return a length that is stated for pictures of SIZE, in those of another size."""
    return (2 * length * size + SIZE) // (2 * SIZE)


@lru_cache(maxsize=2048)
def resized(theme: Theme, size: int) -> Theme:
    """Return a theme for pictures of a size, with the atlases drawn for it."""
    if size == SIZE:
        return theme
    lettering, art = f"{theme.lettering}/{size}", f"{theme.art}/{size}"
    return replace(theme, lettering=lettering, art=art, size=size)
