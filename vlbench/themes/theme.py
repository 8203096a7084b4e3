"""A theme: the colours and shapes of all pictures."""

from dataclasses import dataclass

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

    def __post_init__(self) -> None:
        """Fill in the atlases."""
        object.__setattr__(self, "lettering", self.lettering or self.name)
        object.__setattr__(self, "art", self.art or self.name)

    def __hash__(self) -> int:
        """Return the hash of the name, which Python caches; themes are keys of caches."""
        return hash(self.name)

    @property
    def colours(self) -> tuple[Colour, ...]:
        """All twelve colours, in the order of the fields."""
        return (
            *(self.table, self.table_ink, self.paper, self.paper_ink),
            *(self.card, self.panel, self.border, self.back),
            *self.suits,
        )
