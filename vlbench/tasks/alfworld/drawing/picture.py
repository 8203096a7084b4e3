"""The picture of ALFWorld: the room from its middle or what the player stands at, and the hand."""

from dataclasses import dataclass
from typing import Final, Protocol

from vlbench.errors import unknown_name
from vlbench.instances import Presentation
from vlbench.sprites import Blit, background, blit, checked_jitter, offsets, place
from vlbench.task import SIZE, Fact, Frame
from vlbench.tasks.alfworld.drawing.close_up import backdrop, is_open, things
from vlbench.tasks.alfworld.drawing.floor_plan import roll, room
from vlbench.tasks.alfworld.drawing.status_bar import hand_sprite, location_sprite
from vlbench.tasks.alfworld.drawing.style import (
    COLUMN,
    RoomStyle,
    Zones,
    room_style,
    zones,
)
from vlbench.tasks.alfworld.scene import Place, Scene, Thing
from vlbench.themes import themes_named

LABELS: Final = ("names", "numbers")
"""What is written at a thing: its whole name, or its number only."""
MIDDLE: Final = "middle of the room"
"""Where the player is that stands at no receptacle."""
NOTHING: Final = "nothing"
"""What an empty hand holds."""
MARGIN: Final = 3
"""Pixels around the list of receptacles."""
STATES: Final = ("hot", "cold", "clean", "lit")


class Seen(Protocol):
    """A state of the game, as far as its picture needs it."""

    @property
    def scene(self) -> Scene:
        """What the player sees."""


@dataclass(frozen=True, slots=True, eq=False)
class RoomLook:
    """An episode's theme, and where its parts stand."""

    style: RoomStyle
    zones: Zones
    roll: Blit
    """The list of receptacles, which stays."""
    room: Blit
    """The room from its middle."""
    shifts: tuple[tuple[int, int], ...]
    """Right and down: of the bar, the room, the list."""


class AlfworldPicture:
    """Draws ALFWorld.

    Args:
        theme: A theme, or a group whose themes take turns by presentation.
        jitter: Largest shift of a part, in pixels.
        labels: "names" writes a thing's whole name at it; "numbers" only its number, so that the
            thing must be recognised.

    Raises:
        ValueError: An argument isn't known; names the nearest.
    """

    def __init__(self, theme: str = "classic", jitter: int = 0, labels: str = "names") -> None:
        self._themes = themes_named(theme)
        self._jitter = checked_jitter(jitter)
        if labels not in LABELS:
            raise ValueError(unknown_name("labels", labels, LABELS))
        self._labels = labels

    def look(self, start: Seen, presentation: Presentation) -> RoomLook:
        """Choose the theme, and where the parts of the frame stand."""
        theme = self._themes[presentation.number % len(self._themes)]
        style, jitter = room_style(theme.name), self._jitter
        names = tuple(p.name for p in start.scene.places)
        wide = COLUMN if style.layout == "columns" else SIZE - jitter
        sheet = roll(style, names, wide - 2 * MARGIN)
        parts = zones(style.layout, sheet.shape[0] + 2 * MARGIN + jitter, jitter)
        shifts = offsets(presentation, "parts", 3, jitter)
        x, y = parts.roll.x + MARGIN + shifts[2][0], parts.roll.y + MARGIN + shifts[2][1]
        view, (dx, dy) = parts.view, shifts[1]
        plan = room(style, start.scene.places, view.width - jitter, view.height - jitter)
        return RoomLook(
            style, parts, blit(sheet, x, y), blit(plan, view.x + dx, view.y + dy), shifts
        )

    def paint(
        self, frame: Frame, state: Seen, look: RoomLook, shown: tuple[Seen, RoomLook] | None
    ) -> None:
        """Draw the parts of the frame that don't show this scene yet."""
        scene = state.scene
        old = shown[0].scene if shown is not None and shown[1] is look else None
        if old is None:
            frame[:] = background(look.style.paper)
            frame[look.roll.place] = look.roll.sprite
        here = _place_at(scene)
        if old is None or here != _place_at(old):
            self._paint_location(frame, look, here)
            self._paint_view(frame, look, here)
        if old is None or scene.holding != old.holding:
            self._paint_hand(frame, look, scene.holding)

    def _paint_location(self, frame: Frame, look: RoomLook, here: Place | None) -> None:
        zone, (dx, dy) = look.zones.location, look.shifts[0]
        width, height = zone.width - self._jitter, zone.height - self._jitter
        name, kind, words = (
            (MIDDLE, "room", "") if here is None else (here.name, here.kind, _words(here))
        )
        sprite = location_sprite(look.style, name, kind, words, width, height)
        frame[place(zone.x + dx, zone.y + dy, width, height)] = sprite

    def _paint_hand(self, frame: Frame, look: RoomLook, thing: Thing | None) -> None:
        zone, (dx, dy) = look.zones.hand, look.shifts[0]
        width, height = zone.width - self._jitter, zone.height - self._jitter
        text = NOTHING if thing is None else self._label(thing)
        sprite = hand_sprite(look.style, thing, text, width, height)
        frame[place(zone.x + dx, zone.y + dy, width, height)] = sprite

    def _paint_view(self, frame: Frame, look: RoomLook, here: Place | None) -> None:
        zone, style = look.zones.view, look.style
        if here is None:
            if self._jitter:
                frame[zone.place] = style.paper
            frame[look.room.place] = look.room.sprite
            return
        filled = bool(here.contents)
        frame[zone.place] = backdrop(
            style, here.kind, is_open(here), filled, zone.width, zone.height
        )
        labels = [self._label(thing) for thing in here.contents or ()]
        for where, sprite in things(style, here, labels, zone, look.shifts[1], self._jitter):
            frame[where] = sprite

    def _label(self, thing: Thing) -> str:
        return thing.name if self._labels == "names" else thing.name.rpartition(" ")[2]

    def facts(self, state: Seen, look: RoomLook) -> dict[str, Fact]:
        """Return where the player is, what is seen there and in which states, and what is held."""
        scene = state.scene
        here = _place_at(scene)
        contents = () if here is None or here.contents is None else here.contents
        seen = contents if scene.holding is None else (*contents, scene.holding)
        return {
            "location": MIDDLE if here is None else here.name,
            "door": "none" if here is None else _door(here) or "none",
            "visible": tuple(thing.name for thing in contents),
            "holding": NOTHING if scene.holding is None else scene.holding.name,
            **{
                shown: tuple(thing.name for thing in seen if shown in thing.states)
                for shown in STATES
            },
            "receptacles": tuple(p.name for p in scene.places),
        }


def _place_at(scene: Scene) -> Place | None:
    """Return the receptacle that the player stands at, if any."""
    if not scene.at:
        return None
    return next(p for p in scene.places if p.name == scene.at)


def _door(here: Place) -> str:
    """Return "open" or "closed", or "" for what has no door."""
    return ("open" if here.opened else "closed") if here.openable else ""


def _words(here: Place) -> str:
    """Return what is written under a receptacle's name, e.g. "open - empty"."""
    return " - ".join(
        word for word in (_door(here), "empty" if here.contents == () else "") if word
    )
