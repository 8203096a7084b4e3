"""Plays generated games without the engine, by `Room.successor`; tests compare both."""

from dataclasses import dataclass

from vlbench.tasks.alfworld.games.generator import STATIONS, generate
from vlbench.tasks.alfworld.games.options import GameOptions
from vlbench.tasks.alfworld.games.problem import LAMP
from vlbench.tasks.alfworld.games.reading import read_game
from vlbench.tasks.alfworld.world import STATE_AFTER, Room, Spot, World


@dataclass(frozen=True, slots=True)
class Start:
    """A game at its start."""

    room: Room
    world: World


def start_of(instance: str, options: GameOptions) -> Start:
    """Return a generated game at its start.

    Args:
        instance: "alfworld/<type>/<floor plan>-<number>".
        options: Difficulty, rule and wording.
    """
    _, kind, name = instance.split("/")
    scene, _, number = name.partition("-")
    game = generate(kind, int(scene), int(number), options)
    description = read_game(game)
    room = Room.read(game.scene, game.goal, description, options.examine_first)
    return Start(room, room.world(description.facts))


def admissible(room: Room, world: World) -> list[str]:
    """Return the commands that the engine admits in a generated game, sorted."""
    held, here = world.holding, room.spots_at.get(world.at, ())
    commands = ["help", "inventory", "look"]
    commands += [f"go to {spot.name}" for spot in room.spots if spot.location != world.at]
    commands += [f"examine {held}"] if held else []
    for spot in here:
        commands += _commands_at(room, world, spot)
    return sorted(commands)


def _commands_at(room: Room, world: World, spot: Spot) -> list[str]:
    """Return the commands that have to do with a receptacle within reach."""
    held, place = world.holding, spot.name
    shut = spot.openable and place not in world.opened
    commands = [f"examine {place}"]
    commands += [f"{'open' if shut else 'close'} {place}"] if spot.openable else []
    things = [thing for thing, where in world.placements if where == place]
    lamps = [thing for thing in things if room.item[thing].kind == LAMP.lower()]
    commands += [f"use {lamp}" for lamp in lamps]
    if not shut and not held and room.lets_take(world, spot):
        commands += [f"take {thing} from {place}" for thing in things if thing not in lamps]
    if not shut and held and (spot.kind, room.item[held].kind) in room.fits:
        commands.append(f"move {held} to {place}")
    for (verb, state), station in zip(STATE_AFTER.items(), STATIONS.values(), strict=True):
        if held and spot.kind == station.lower() and state in room.item[held].becomes:
            commands.append(f"{verb} {held} with {place}")
    return commands
