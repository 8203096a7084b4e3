"""The bar in every picture: the player's location and the object in hand."""

from functools import lru_cache

from vlbench.sprites import Sprite
from vlbench.tasks.alfworld.drawing.close_up import thing_icon
from vlbench.tasks.alfworld.drawing.icons import compose, icon
from vlbench.tasks.alfworld.drawing.style import RoomTheme, place_icon, slip, solid
from vlbench.tasks.alfworld.scene import Thing


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
    sprite, px = solid(width, height, theme.paper), theme.lengths
    tile = place_icon(theme, kind, words.startswith("open"), px.here)
    _write(sprite, tile, px.top, px.top)
    title = theme.title.draw(name)
    if title.shape[1] > width - px.text:
        title = theme.name.draw(name)
    _write(sprite, title, px.text, px.title if words else px.alone)
    if words:
        _write(sprite, theme.name.draw(words), px.text, px.words)
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
    sprite, px = solid(width, height, theme.paper), theme.lengths
    tiles = [compose(solid(px.held, px.held, theme.paper), icon("place/hand", px.held))]
    if thing is not None:
        tiles.append(thing_icon(thing, px.held, theme.floor))
    left = (width - px.pitch * len(tiles)) // 2 + (px.pitch - px.held) // 2
    for i, tile in enumerate(tiles):
        _write(sprite, tile, left + px.pitch * i, px.top)
    words = slip(theme, text)
    _write(sprite, words, max(width - words.shape[1], 0) // 2, px.label)
    return sprite


def _write(sprite: Sprite, part: Sprite, x: int, y: int) -> None:
    """Draw a part on a sprite, clipped at the right edge."""
    room = sprite[y : y + part.shape[0], x : x + part.shape[1]]
    room[:] = part[:, : room.shape[1]]
