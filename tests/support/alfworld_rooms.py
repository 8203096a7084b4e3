"""Scenes, and walks through them, for tests of ALFWorld's pictures."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from support.pictures import paint

from vlbench.instances import Presentation
from vlbench.task import Frame
from vlbench.tasks.alfworld.scene import Place, Scene, Thing
from vlbench.themes import THEMES

every_theme = pytest.mark.parametrize("theme", THEMES)

THINGS = tuple(
    """alarmclock apple applesliced baseballbat basketball book bowl box bread breadsliced
    butterknife candle cd cellphone cloth creditcard cup desklamp dishsponge egg floorlamp fork
    glassbottle handtowel kettle keychain knife ladle laptop lettuce lettucesliced mug newspaper
    pan papertowel pen pencil peppershaker pillow plate plunger pot potato potatosliced
    remotecontrol saltshaker soapbar soapbottle spatula spoon spraybottle statue tennisracket
    tissuebox toiletpaper toiletpaperroll tomato tomatosliced towel vase watch wateringcan
    winebottle""".split()
)
"""What the engine's constants let lie in receptacles, and the lamps."""
PLACES = tuple(
    """armchair bathtubbasin bed box cabinet cart coffeemachine coffeetable countertop desk
    diningtable drawer dresser fridge garbagecan handtowelholder laundryhamper microwave ottoman
    safe shelf sidetable sinkbasin sofa stoveburner toaster toilet toiletpaperhanger towelholder
    tvstand""".split()
)
OPENABLE = ("box", "cabinet", "drawer", "fridge", "microwave", "safe")
KITCHEN = {
    "cabinet": 28,
    "coffeemachine": 1,
    "countertop": 3,
    "diningtable": 1,
    "drawer": 11,
    "fridge": 1,
    "garbagecan": 1,
    "microwave": 1,
    "sinkbasin": 1,
    "stoveburner": 4,
    "toaster": 1,
}
"""What stands in the fullest of THOR's rooms."""
STUDY = {"bed": 1, "desk": 1, "drawer": 3, "laundryhamper": 1, "shelf": 2, "sidetable": 1}


@dataclass(frozen=True)
class State:
    """The part of a game's state that its picture draws."""

    scene: Scene


def room_of(counts: dict[str, int], seed: int = 0) -> Scene:
    """Return a room with its receptacles placed at random along the walls."""
    choose = random.Random(seed)
    places = []
    for kind, count in counts.items():
        for number in range(1, count + 1):
            along, wall = choose.randrange(-12, 12) / 4, choose.choice((-2.5, 2.5))
            x, z = (along, wall) if choose.random() < 0.6 else (wall, along)
            places.append(Place(f"{kind} {number}", x, z, openable=kind in OPENABLE))
    return Scene(1, tuple(sorted(places, key=lambda place: place.name)))


def standing_at(
    scene: Scene, at: str, contents: tuple[Thing, ...] | None, opened: bool = False
) -> State:
    """The room with its player at a receptacle."""
    places = tuple(
        replace(place, contents=contents, opened=opened) if place.name == at else place
        for place in scene.places
    )
    return State(replace(scene, places=places, at=at))


def painted(picture: Any, state: State, style: Any = None, number: int = 7) -> Frame:
    style = style or picture.style(state, Presentation("alfworld/x", number))
    return paint(picture, state, style)


def some_things(count: int, seed: int = 0) -> tuple[Thing, ...]:
    choose = random.Random(seed)
    kinds = [choose.choice(THINGS) for _ in range(count)]
    names = [f"{kind} {kinds[:i].count(kind) + 1}" for i, kind in enumerate(kinds)]
    states = [frozenset(choose.sample(("hot", "clean", "cold"), choose.choice((0, 0, 1, 2))))]
    return tuple(Thing(name, choose.choice([frozenset(), *states])) for name in sorted(names))


def walk(scene: Scene, seed: int) -> Iterator[State]:
    """Yield the states of an episode: the player goes, looks, opens, takes and comes back."""
    choose = random.Random(seed)
    inside = {place.name: some_things(choose.randrange(6), seed) for place in scene.places}
    yield State(scene)
    holding: Thing | None = None
    opened: set[str] = set()
    at = ""
    for _ in range(40):
        action = choose.choice(("go", "go", "open", "take", "put", "change", "leave"))
        if action == "leave":
            at = ""
        elif action == "go" or not at:
            at = choose.choice(scene.places).name
        elif action == "open" and at.split()[0] in OPENABLE:
            opened ^= {at}
        elif action == "take" and inside[at] and holding is None:
            holding, inside[at] = inside[at][0], inside[at][1:]
        elif action == "put" and holding is not None:
            inside[at], holding = (*inside[at], holding), None
        elif action == "change" and holding is not None:
            holding = replace(holding, states=frozenset({choose.choice(("hot", "cold"))}))
        places = tuple(
            replace(
                place,
                opened=place.name in opened,
                contents=inside[at]
                if place.name == at and (at in opened or not place.openable)
                else None,
            )
            for place in scene.places
        )
        yield State(replace(scene, places=places, at=at, holding=holding))
