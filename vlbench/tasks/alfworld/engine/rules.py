"""Plays generated games by this package's own rules, in place of ALFWorld's engine.

States and texts equal the engine's; tests compare both. The engine needs most of a second to load a
game, so training on many games uses these rules.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from vlbench.tasks.alfworld.engine.client import Description, Fact, Snapshot
from vlbench.tasks.alfworld.games.game_texts import INTRO, OTHER_INTRO, domain
from vlbench.tasks.alfworld.games.generator import GameData
from vlbench.tasks.alfworld.games.reading import read_game
from vlbench.tasks.alfworld.simulation import admissible
from vlbench.tasks.alfworld.world import STATES, Room, Spot, World

GREETING = "-= Welcome to TextWorld, ALFRED! =-"
PREPOSITIONS = {
    "take": " from ",
    "move": " to ",
    "heat": " with ",
    "cool": " with ",
    "clean": " with ",
}
"""Verb → what stands between its object and its receptacle."""
PREDICATES = {state: predicate for predicate, state in STATES.items()}
MAX_GAMES = 256
"""Games that stay in memory."""
HELP = """\
Available commands:
  look:                             look around your current location
  inventory:                        check your current inventory
  go to (receptacle):               move to a receptacle
  open (receptacle):                open a receptacle
  close (receptacle):               close a receptacle
  take (object) from (receptacle):  take an object from a receptacle
  move (object) to (receptacle):  place an object in or on a receptacle
  examine (something):              examine a receptacle or an object
  use (object):                     use an object
  heat (object) with (receptacle):  heat an object using a receptacle
  clean (object) with (receptacle): clean an object using a receptacle
  cool (object) with (receptacle):  cool an object using a receptacle
  slice (object) with (object):     slice an object using a sharp object
"""
"""The engine's answer to "help"."""


class RuleEngine:
    """Answers as `EngineClient` does, in this process."""

    def __init__(self) -> None:
        self._games: OrderedDict[str, _Game] = OrderedDict()

    def play(self, game: GameData, commands: tuple[str, ...]) -> Snapshot:
        """Return the state after admissible commands from the start of the game."""
        return self._game(game).snapshot(commands)

    def describe(self, game: GameData) -> Description:
        """Return the fixed part of a game."""
        return self._game(game).description

    def __getstate__(self) -> dict[str, object]:
        """Leave the games out; a copy reads its own."""
        return {}

    def __setstate__(self, state: dict[str, object]) -> None:
        """Rebuild without games."""
        self.__init__()  # type: ignore[misc]

    def _game(self, data: GameData) -> "_Game":
        game = self._games.get(data.sha256)
        if game is None:
            game = self._games[data.sha256] = _Game(data)
            if len(self._games) > MAX_GAMES:
                self._games.popitem(last=False)
        return game


@dataclass
class _Game:
    data: GameData
    _worlds: dict[tuple[str, ...], World] = field(default_factory=dict)
    """Commands → the world after them, of the states that were asked for."""

    @cached_property
    def description(self) -> Description:
        return read_game(self.data)

    @cached_property
    def room(self) -> Room:
        examine_first = self.data.domain == domain(True)
        return Room.read(self.data.scene, self.data.goal, self.description, examine_first)

    @cached_property
    def ids(self) -> dict[str, str]:
        """Name → the engine's id."""
        return {name: thing for thing, name in self.description.names.items()}

    @cached_property
    def agent(self) -> str:
        return next(fact[1] for fact in self.description.facts if fact[0] == "atlocation")

    def snapshot(self, commands: tuple[str, ...]) -> Snapshot:
        world = self._world(commands)
        feedback = self._feedback(world, commands[-1]) if commands else self._intro()
        won = self.room.conditions_met(world) == self.room.conditions
        names = tuple(admissible(self.room, world))
        return Snapshot(feedback, names, won, tuple(sorted(self._facts(world))))

    def _world(self, commands: tuple[str, ...]) -> World:
        if commands not in self._worlds:
            if commands:
                world = self.room.successor(self._world(commands[:-1]), commands[-1])
            else:
                world = self.room.world(self.description.facts)
            self._worlds[commands] = world
        return self._worlds[commands]

    def _facts(self, world: World) -> Iterable[Fact]:
        yield "atlocation", self.agent, world.at
        if world.holding:
            yield "holds", self.agent, self.ids[world.holding]
        for name in world.opened:
            yield "opened", self.ids[name]
        for thing, place in world.placements:
            yield "inreceptacle", self.ids[thing], self.ids[place]
        for thing, state in world.states:
            yield PREDICATES[state], self.ids[thing]
        for name in world.examined:
            yield "checked", self.ids[name]

    def _intro(self) -> str:
        _, _, task = self.data.grammar.partition("Your task is to: ")
        goal = task.partition('"')[0]
        furniture = _list(self._in_order([spot.name for spot in self.room.spots]))
        return f"{GREETING}\n\n{self._overview(furniture)}\n\nYour task is to: {goal}"

    def _feedback(self, world: World, command: str) -> str:
        verb, _, rest = command.partition(" ")
        thing, _, place = rest.partition(PREPOSITIONS.get(verb, "\n"))
        match verb:
            case "help":
                return HELP
            case "inventory":
                held = f"carrying: a {world.holding}" if world.holding else "not carrying anything"
                return f"You are {held}."
            case "look":
                return self._look(world)
            case "go":
                name = rest.removeprefix("to ")
                return f"You arrive at {name}. {self._examine(world, self.room.spot[name])}"
            case "open":
                return f"You open the {rest}. {self._examine(world, self.room.spot[rest])}"
            case "close":
                return f"You close the {rest}."
            case "take":
                return f"You pick up the {thing} from the {place}."
            case "move":
                return f"You move the {thing} to the {place}."
            case "use":
                return f"You turn on the {rest}."
            case "examine" if rest in self.room.spot:
                return self._examine(world, self.room.spot[rest])
            case "examine":
                return _describe(rest, {s for name, s in world.states if name == rest})
        return f"You {verb} the {thing} using the {place}."

    def _look(self, world: World) -> str:
        here = self.room.spots_at.get(world.at, ())
        if here:
            names = _list([spot.name for spot in here], article="")
            return f"You are facing the {names}. Next to it, you see nothing."
        return self._overview("nothing")  # the engine names the furniture at the start alone

    def _overview(self, furniture: str) -> str:
        words = OTHER_INTRO if OTHER_INTRO in self.data.grammar else INTRO
        return words.replace("#list_appliances#", furniture)

    def _examine(self, world: World, spot: Spot) -> str:
        things = [thing for thing, place in world.placements if place == spot.name]
        inside = _list(self._in_order(things))
        if not spot.openable:
            return f"On the {spot.name}, you see {inside}."
        if spot.name not in world.opened:
            return f"The {spot.name} is closed."
        return f"The {spot.name} is open. In it, you see {inside}."

    def _in_order(self, names: Iterable[str]) -> list[str]:
        return sorted(names, key=self.ids.__getitem__)


def _list(names: Sequence[str], article: str = "a ") -> str:
    """Return names in the engine's form of a list."""
    words = [f"{article}{name}" for name in names]
    if not words:
        return "nothing"
    if len(words) == 1:
        return words[0]
    return f"{', '.join(words[:-1])}, and {words[-1]}"


def _describe(thing: str, states: set[str]) -> str:
    clean = "clean" in states
    for state in ("hot", "cold"):
        if state in states:
            word = {"hot": "hot", "cold": "cool" if clean else "cold"}[state]
            return f"This is a {word}{' and clean' * clean} {thing}."
    return f"This is a clean {thing}." if clean else f"There's nothing special about {thing}."
