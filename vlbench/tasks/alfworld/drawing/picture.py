"""The picture of ALFWorld: the room's plan or the receptacle in front, the hand and a list."""

from dataclasses import dataclass
from typing import Final, Protocol

from vlbench.errors import unknown_name
from vlbench.instances import Presentation
from vlbench.sprites import Blit, background, blit, offsets, place
from vlbench.task import Fact, Frame
from vlbench.tasks.alfworld.drawing.close_up import backdrop, is_open, things
from vlbench.tasks.alfworld.drawing.floor_plan import roll, room
from vlbench.tasks.alfworld.drawing.lengths import lengths_of
from vlbench.tasks.alfworld.drawing.status_bar import hand_sprite, location_sprite
from vlbench.tasks.alfworld.drawing.style import (
    RoomTheme,
    Zones,
    room_theme,
    zones,
)
from vlbench.tasks.alfworld.scene import Place, Scene, Thing
from vlbench.themes import ThemeChoice

LABELS: Final = ("names", "numbers")
"""Label of an object: its whole name, or only its number."""
MIDDLE: Final = "middle of the room"
"""The location of a player who is at no receptacle."""
NOTHING: Final = "nothing"
"""The content of an empty hand or receptacle."""
STATES: Final = ("hot", "cold", "clean", "lit")


class HasScene(Protocol):
    """The part of a state that its picture needs."""

    @property
    def scene(self) -> Scene:
        """The visible scene."""


@dataclass(frozen=True, slots=True, eq=False)
class AlfworldStyle:
    """An episode's theme, and the positions of its parts."""

    theme: RoomTheme
    zones: Zones
    roll: Blit
    """The list of receptacles, which never changes."""
    room: Blit
    """The plan of the room."""
    shifts: tuple[tuple[int, int], ...]
    """Shifts of the bar, the room and the list to the right and down, in pixels."""


class AlfworldPicture:
    """Draws ALFWorld.

    Args:
        themes: The themes, and the largest shift of a part in pixels.
        labels: "names" labels an object with its whole name; "numbers" only with its number, so
            that its kind must be recognised.

    Raises:
        ValueError: `labels` is unknown; the message suggests the nearest.
    """

    def __init__(self, themes: ThemeChoice, labels: str = "names") -> None:
        if labels not in LABELS:
            raise ValueError(unknown_name("labels", labels, LABELS))
        self._themes = themes
        self.size = themes.size
        self._jitter = lengths_of(self.size).px(themes.jitter)
        self._labels = labels

    def style(self, start: HasScene, presentation: Presentation) -> AlfworldStyle:
        """Choose the theme and the positions of all parts."""
        theme, jitter = room_theme(self._themes.of(presentation)), self._jitter
        lengths, margin = theme.lengths, theme.lengths.margin
        names = tuple(p.name for p in start.scene.places)
        wide = lengths.column if theme.layout == "columns" else self.size - jitter
        sheet = roll(theme, names, wide - 2 * margin)
        parts = zones(lengths, theme.layout, sheet.shape[0] + 2 * margin + jitter, jitter)
        shifts = offsets(presentation, "parts", 3, self._themes.jitter, self.size)
        x, y = parts.roll.x + margin + shifts[2][0], parts.roll.y + margin + shifts[2][1]
        view, (dx, dy) = parts.view, shifts[1]
        plan = room(theme, start.scene.places, view.width - jitter, view.height - jitter)
        return AlfworldStyle(
            theme, parts, blit(sheet, x, y), blit(plan, view.x + dx, view.y + dy), shifts
        )

    def paint(self, frame: Frame, state: HasScene, style: AlfworldStyle) -> None:
        """Draw the list of receptacles, the view, the location and the hand."""
        frame[:] = background(style.theme.paper, self.size)
        frame[style.roll.place] = style.roll.sprite
        here = _place_at(state.scene)
        self._paint_location(frame, style, here)
        self._paint_view(frame, style, here)
        self._paint_hand(frame, style, state.scene.holding)

    def repaint(
        self,
        frame: Frame,
        state: HasScene,
        style: AlfworldStyle,
        previous: HasScene,
        previous_style: AlfworldStyle,
    ) -> bool:
        """Draw the parts that differ; False for another episode's style."""
        if previous_style is not style:
            return False
        here = _place_at(state.scene)
        if here != _place_at(previous.scene):
            self._paint_location(frame, style, here)
            self._paint_view(frame, style, here)
        if state.scene.holding != previous.scene.holding:
            self._paint_hand(frame, style, state.scene.holding)
        return True

    def _paint_location(self, frame: Frame, style: AlfworldStyle, here: Place | None) -> None:
        zone, (dx, dy) = style.zones.location, style.shifts[0]
        width, height = zone.width - self._jitter, zone.height - self._jitter
        name, kind, words = (
            (MIDDLE, "room", "") if here is None else (here.name, here.kind, _words(here))
        )
        sprite = location_sprite(style.theme, name, kind, words, width, height)
        frame[place(zone.x + dx, zone.y + dy, width, height)] = sprite

    def _paint_hand(self, frame: Frame, style: AlfworldStyle, thing: Thing | None) -> None:
        zone, (dx, dy) = style.zones.hand, style.shifts[0]
        width, height = zone.width - self._jitter, zone.height - self._jitter
        text = NOTHING if thing is None else self._label(thing)
        sprite = hand_sprite(style.theme, thing, text, width, height)
        frame[place(zone.x + dx, zone.y + dy, width, height)] = sprite

    def _paint_view(self, frame: Frame, style: AlfworldStyle, here: Place | None) -> None:
        zone, theme = style.zones.view, style.theme
        if here is None:
            if self._jitter:
                frame[zone.place] = theme.paper
            frame[style.room.place] = style.room.sprite
            return
        filled = bool(here.contents)
        frame[zone.place] = backdrop(
            theme, here.kind, is_open(here), filled, zone.width, zone.height
        )
        labels = [self._label(thing) for thing in here.contents or ()]
        for where, sprite in things(theme, here, labels, zone, style.shifts[1], self._jitter):
            frame[where] = sprite

    def _label(self, thing: Thing) -> str:
        return thing.name if self._labels == "names" else thing.name.rpartition(" ")[2]

    def facts(self, state: HasScene, style: AlfworldStyle) -> dict[str, Fact]:
        """Return the location, its door, its visible objects and their states, and the hand."""
        return scene_facts(state.scene)


def scene_facts(scene: Scene) -> dict[str, Fact]:
    """Return what the picture of a scene shows."""
    here = _place_at(scene)
    contents = () if here is None or here.contents is None else here.contents
    visible = contents if scene.holding is None else (*contents, scene.holding)
    return {
        "location": MIDDLE if here is None else here.name,
        "door": "none" if here is None else _door(here) or "none",
        "visible": tuple(thing.name for thing in contents),
        "holding": NOTHING if scene.holding is None else scene.holding.name,
        **{name: tuple(thing.name for thing in visible if name in thing.states) for name in STATES},
        "receptacles": tuple(p.name for p in scene.places),
    }


def _place_at(scene: Scene) -> Place | None:
    """Return the receptacle in front of the player, if any."""
    if not scene.at:
        return None
    return next(p for p in scene.places if p.name == scene.at)


def _door(here: Place) -> str:
    """Return "open" or "closed"; "" if there is no door."""
    return ("open" if here.opened else "closed") if here.openable else ""


def _words(here: Place) -> str:
    """Return the text under a receptacle's name, e.g. "open - empty"."""
    return " - ".join(
        word for word in (_door(here), "empty" if here.contents == () else "") if word
    )
