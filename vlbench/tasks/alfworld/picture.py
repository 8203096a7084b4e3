"""The picture of ALFWorld: the room from its middle or what the player stands at, and the hand."""

import difflib
from dataclasses import dataclass, replace
from typing import Final, Protocol

from vlbench.atlas import Blit, background, blit, checked_jitter, offsets, place
from vlbench.instances import Presentation
from vlbench.picture import SIZE, Fact, Frame
from vlbench.tasks.alfworld.receptacle_view import (
    RIM,
    backdrop,
    hand_sprite,
    label_of,
    location_sprite,
    things,
)
from vlbench.tasks.alfworld.room_style import (
    COLUMN,
    GAP,
    RoomStyle,
    Zones,
    room_style,
    zones,
)
from vlbench.tasks.alfworld.room_view import roll, room
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
    """

    def __init__(self, theme: str = "classic", jitter: int = 0, labels: str = "names") -> None:
        self._themes = themes_named(theme)
        self._jitter = checked_jitter(jitter)
        if labels not in LABELS:
            near = difflib.get_close_matches(str(labels), LABELS, n=1)
            hint = f'; did you mean "{near[0]}"?' if near else ""
            raise ValueError(f'labels must be "names" or "numbers", got "{labels}"{hint}')
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
        bare = tuple(replace(p, opened=False, contents=None) for p in start.scene.places)
        view, (dx, dy) = parts.view, shifts[1]
        plan = room(style, bare, view.width - jitter, view.height - jitter)
        return RoomLook(
            style, parts, blit(sheet, x, y), blit(plan, view.x + dx, view.y + dy), shifts
        )

    def paint(self, frame: Frame, state: Seen, look: RoomLook, before: Seen | None) -> None:
        """Draw the parts of the frame that don't show this scene yet."""
        scene = state.scene
        old = None if before is None else before.scene
        if old is None:
            frame[:] = background(look.style.paper)
            frame[look.roll.place] = look.roll.sprite
        here = _place_at(scene)
        was = None if old is None else _place_at(old)
        if old is None or here is not was and here != was:
            self._paint_location(frame, look, here)
        if old is None or scene.holding != old.holding:
            self._paint_hand(frame, look, scene.holding)
            self._paint_view(frame, look, here)

    def _paint_location(self, frame: Frame, look: RoomLook, here: Place | None) -> None:
        zone, (dx, dy) = look.zones.location, look.shifts[0]
        width, height = zone.width - self._jitter, zone.height - self._jitter
        name, kind, door = (
            (MIDDLE, "room", "") if here is None else (here.name, here.kind, _door(here))
        )
        sprite = location_sprite(look.style, name, kind, door, width, height)
        frame[place(zone.x + dx, zone.y + dy, width, height)] = sprite

    def _paint_hand(self, frame: Frame, look: RoomLook, thing: Thing | None) -> None:
        zone, (dx, dy) = look.zones.hand, look.shifts[0]
        width, height = zone.width - self._jitter, zone.height - self._jitter
        text = NOTHING if thing is None else label_of(thing, self._labels)
        sprite = hand_sprite(look.style, thing, text, width, height)
        frame[place(zone.x + dx, zone.y + dy, width, height)] = sprite

    def _paint_view(self, frame: Frame, look: RoomLook, here: Place | None) -> None:
        zone, style, (dx, dy) = look.zones.view, look.style, look.shifts[1]
        if here is None:
            if self._jitter:
                frame[zone.place] = style.paper
            frame[look.room.place] = look.room.sprite
            return
        filled, opened = bool(here.contents), here.openable and here.opened
        frame[zone.place] = backdrop(style, here.kind, opened, filled, zone.width, zone.height)
        labels = [label_of(thing, self._labels) for thing in here.contents or ()]
        edge = RIM + GAP
        room = zone.width - 2 * edge - self._jitter, zone.height - 2 * edge - self._jitter
        for where, sprite in things(
            style, here, labels, *room, (zone.x + edge + dx, zone.y + edge + dy)
        ):
            frame[where] = sprite

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
                state: tuple(thing.name for thing in seen if state in thing.states)
                for state in STATES
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
