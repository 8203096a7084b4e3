"""The lengths of ALFWorld's pictures, scaled to the size of a picture in one place.

All are stated in pixels of a picture of SIZE. The drawing code takes them from `lengths_of`, which
scales each, and asks for icons and letters that are drawn for the result.
"""

from dataclasses import astuple, dataclass
from functools import lru_cache

from vlbench.themes import SIZE, scaled


@dataclass(frozen=True, slots=True, eq=False)
class Lengths:
    """Lengths of a picture, in its pixels; the defaults are those of a picture of SIZE."""

    frame: int = SIZE
    """Width and height of the picture."""
    bar: int = 54
    """Height of the bar without room for jitter."""
    hand: int = 112
    """Width of the hand's part of the bar."""
    column: int = 130
    """Width of a list of receptacles beside the room."""
    margin: int = 3
    """Space around the list of receptacles."""
    gap: int = 3
    """Space between neighbours."""
    slip_side: int = 2
    """Paper left and right of a name."""
    slip_edge: int = 1
    """Paper above and below a name."""

    top: int = 3
    """Space above the icons of the bar."""
    here: int = 48
    """Icon of the player's location."""
    text: int = 54
    """Left edge of the text beside it."""
    alone: int = 20
    """Top of a location's name without words under it."""
    title: int = 8
    """Top of a location's name with words under it."""
    words: int = 30
    """Top of those words."""
    held: int = 32
    """Icons of the hand and of the object in it."""
    pitch: int = 36
    """Distance from the one to the other."""
    label: int = 36
    """Top of the name of the object in hand."""

    wall: int = 4
    """Thickness of the walls of the plan."""
    lattice: int = 2
    """Step of marker positions."""
    line: int = 16
    """Height of a line of the list of receptacles."""

    large: int = 112
    """Icon of a closed or empty receptacle."""
    rim: int = 8
    """Thickness of a receptacle's sides."""
    outline: int = 2
    """Thickness of a surface's outline."""
    edge: int = 10
    """Height of a surface's front edge."""
    clear: int = 1
    """Least space above and below a line of objects."""
    board: int = 1
    """Thickness of a board."""

    def px(self, length: int) -> int:
        """Return the pixels of a length that is stated for pictures of SIZE."""
        return scaled(length, self.frame)


@lru_cache
def lengths_of(size: int) -> Lengths:
    """Return the lengths of pictures of a size, one of `vlbench.themes.SIZES`."""
    return Lengths(*[scaled(length, size) for length in astuple(Lengths())])
