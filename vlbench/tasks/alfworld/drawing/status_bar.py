"""The bar in every picture: the player's location and the object in hand."""

from functools import lru_cache
from typing import Final

from vlbench.sprites import Sprite
from vlbench.tasks.alfworld.drawing.close_up import thing_icon
from vlbench.tasks.alfworld.drawing.icons import compose, icon
from vlbench.tasks.alfworld.drawing.style import RoomTheme, place_icon, slip, solid
from vlbench.tasks.alfworld.scene import Thing

TOP: Final = 3
"""Space above the icons, in pixels."""
TEXT: Final = 54
"""Left edge of the text beside the icon, in pixels."""


@lru_cache(maxsize=256)
def location_sprite(
    theme: RoomTheme, name: str, kind: str, words: str, width: int, height: int
) -> Sprite:
    """Return the part with the player's location.

    Args:
        theme: The theme.
        name: Name of the receptacle, or of the middle of the room.
        kind: Its kind.
        words: Text under the name, e.g. "open"; "" for none.
        width: Width in pixels.
        height: Height in pixels.
    """
    sprite = solid(width, height, theme.paper)
    sprite[TOP : TOP + 48, TOP : TOP + 48] = place_icon(theme, kind, words.startswith("open"), 48)
    title = theme.title.draw(name)
    if title.shape[1] > width - TEXT:
        title = theme.name.draw(name)
    _write(sprite, title, TEXT, 8 if words else 20)
    if words:
        _write(sprite, theme.name.draw(words), TEXT, 30)
    return sprite


@lru_cache(maxsize=256)
def hand_sprite(
    theme: RoomTheme, thing: Thing | None, text: str, width: int, height: int
) -> Sprite:
    """Return the part with the object in hand.

    Args:
        theme: The theme.
        thing: The object in hand, if any.
        text: Its label.
        width: Width in pixels.
        height: Height in pixels.
    """
    sprite = solid(width, height, theme.paper)
    tiles = [compose(solid(32, 32, theme.paper), icon("place/hand", 32))]
    if thing is not None:
        tiles.append(thing_icon(thing, 32, theme.floor))
    for i, tile in enumerate(tiles):
        _write(sprite, tile, (width - 36 * len(tiles)) // 2 + 2 + 36 * i, TOP)
    words = slip(theme, text)
    _write(sprite, words, max(width - words.shape[1], 0) // 2, TOP + 33)
    return sprite


def _write(sprite: Sprite, part: Sprite, x: int, y: int) -> None:
    """Draw a part on a sprite, clipped at the right edge."""
    room = sprite[y : y + part.shape[0], x : x + part.shape[1]]
    room[:] = part[:, : room.shape[1]]
