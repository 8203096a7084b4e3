"""What random and reference players earn on generated games, without the engine.

The reference players are those of `vlbench.freeze.players`, and a test compares the results. Played
in the engine they take hours.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from vlbench.env import MOVES_NOTHING
from vlbench.freeze import RowSpec
from vlbench.freeze.players import RULE_SUITES, TOLERANCE, random_action
from vlbench.instances import Presentation, hashed
from vlbench.intervals import Interval, mean
from vlbench.suites import Bounds, Reference
from vlbench.tasks.alfworld.by_picture import Knowledge, PicturePlayer
from vlbench.tasks.alfworld.drawing.picture import scene_facts
from vlbench.tasks.alfworld.game import AlfworldGame
from vlbench.tasks.alfworld.games.options import GameOptions, options_of
from vlbench.tasks.alfworld.heuristic import SearchHeuristic
from vlbench.tasks.alfworld.planner import best_outcome, best_return
from vlbench.tasks.alfworld.prompt_text import MEMORY
from vlbench.tasks.alfworld.simulation import admissible, start_of
from vlbench.tasks.alfworld.world import Room, World

RANDOM_EPISODES = 20
"""Random episodes per row behind the floor."""


@dataclass(frozen=True, slots=True)
class Position:
    """A player's position at a turn."""

    room: Room
    world: World
    commands: tuple[str, ...]
    """The commands played so far."""
    legal: tuple[str, ...]
    turns: int
    """Turns that remain."""
    presentation: Presentation


Choose = Callable[[Position], str]


@dataclass(frozen=True, slots=True)
class Episode:
    """What a player earned in an episode."""

    success: bool
    regrets: list[float]
    """The exact regret of each turn."""


def floor_of(rows: Sequence[RowSpec]) -> Bounds:
    """Return the measured success rate of random admissible commands, and 1."""
    won = sum(_random_wins(row.instance, _options_of(row)) for row in rows)
    return Bounds(won / (RANDOM_EPISODES * len(rows)), 1.0)


def _options_of(row: RowSpec) -> GameOptions:
    """Return the options of a row's game; its wording changes nothing."""
    return replace(options_of(row.kwargs), wording="usual")


@cache
def _random_wins(instance: str, options: GameOptions) -> int:
    """Return how many of RANDOM_EPISODES reach the goal."""
    start, wins = start_of(instance, options), 0
    room = start.room
    draws = np.random.default_rng(hashed(instance)).random(
        (RANDOM_EPISODES, AlfworldGame.max_turns)
    )
    for episode in draws.tolist():
        world = start.world
        for draw in episode:
            commands = admissible(room, world)
            world = room.successor(world, commands[int(draw * len(commands))])
            if room.conditions_met(world) == room.conditions:
                wins += 1
                break
    return wins


def reference_results(suite: str, rows: Sequence[RowSpec]) -> dict[str, Reference]:
    """Play each row of a suite once by each reference player; return the results by player."""
    players: dict[str, Choose] = {"random": _random, "heuristic": _heuristic, "expert": _expert}
    if suite in RULE_SUITES:
        players["old_expert"] = _old_expert
    return {name: _result([play(row, choose) for row in rows]) for name, choose in players.items()}


def picture_gain(rows: Sequence[RowSpec]) -> Interval:
    """Return the success of the player by picture minus that of the random player."""
    gains = [float(play(row, _by_picture).success) - play(row, _random).success for row in rows]
    return mean(gains, [row.instance for row in rows], span=1.0)


def _result(episodes: Sequence[Episode]) -> Reference:
    regrets = [regret for episode in episodes for regret in episode.regrets]
    optimal = sum(max(episode.regrets) < TOLERANCE for episode in episodes)
    won = sum(episode.success for episode in episodes)
    return Reference(won / len(episodes), float(np.mean(regrets)), optimal / len(episodes))


def play(row: RowSpec, choose: Choose) -> Episode:
    """Play an episode; a command that isn't admissible changes nothing and costs 1."""
    return _play(Presentation(row.instance, row.presentation), _options_of(row), choose)


@cache
def _play(presentation: Presentation, options: GameOptions, choose: Choose) -> Episode:
    start = start_of(presentation.instance, options)
    room, world, regrets = start.room, start.world, list[float]()
    commands: tuple[str, ...] = ()
    for turns in range(AlfworldGame.max_turns, 0, -1):
        legal = tuple(admissible(room, world))
        command = choose(Position(room, world, commands, legal, turns, presentation))
        best = best_return(room, world, turns)
        if command in legal:
            regrets.append(best - best_outcome(room, world, command, turns).worth)
            world, commands = room.successor(world, command), (*commands, command)
        else:
            after = best_return(room, world, turns - 1) if turns > 1 else 0.0
            regrets.append(best - MOVES_NOTHING - after)
        if room.conditions_met(world) == room.conditions:
            return Episode(True, regrets)
    return Episode(False, regrets)


def _random(position: Position) -> str:
    return random_action(position.legal, position.presentation, position.turns)


def _heuristic(position: Position) -> str:
    player = SearchHeuristic.from_history(position.room, position.world, position.commands)
    command = player.next_command()
    return command if command in position.legal else "look"


def _by_picture(position: Position) -> str:
    room, world, commands = position.room, position.world, position.commands
    walks = [command.removeprefix("go to ") for command in commands if command[:3] == "go "]
    facts = scene_facts(room.scene_of(world, walks[-1] if walks else ""))
    knowledge, recent = Knowledge.of(room), commands[-MEMORY:]
    return PicturePlayer(room.goal, facts, recent, knowledge, room.examine_first).next_command()


def _expert(position: Position) -> str:
    return _shortest(position.room, position.world, position.legal, position.turns)


def _old_expert(position: Position) -> str:
    """Return the command of an expert who doesn't know that one must examine first."""
    room = replace(position.room, examine_first=False)
    return _shortest(room, position.world, admissible(room, position.world), position.turns)


def _shortest(room: Room, world: World, commands: Sequence[str], turns: int) -> str:
    outcomes = {command: best_outcome(room, world, command, turns) for command in commands}
    return max(outcomes, key=lambda command: (outcomes[command].worth, -outcomes[command].distance))
