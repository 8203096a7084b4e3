"""Text-only exercises that teach a language model to copy what ALFWorld's prompt lists.

A reply must name a receptacle that the room has and an object that is there, with their numbers. A
small model names what rooms usually have instead. An exercise has a goal and a list of commands
drawn at random; its answer names the goal's parts and repeats the list. No room is used.
"""

import json
from collections.abc import Iterator

import numpy as np

from vlbench.exercises import Exercise
from vlbench.task import checked_int
from vlbench.tasks.alfworld.games.game_texts import sentences
from vlbench.tasks.alfworld.games.generator import KINDS
from vlbench.tasks.alfworld.games.options import USUAL
from vlbench.tasks.alfworld.games.package_data import affordances, check_installed
from vlbench.tasks.alfworld.games.problem import LAMP

FORMS = {
    "go to {receptacle}": 12,
    "take {thing} from {receptacle}": 3,
    "move {thing} to {receptacle}": 2,
    "open {receptacle}": 1,
    "close {receptacle}": 1,
    "examine {receptacle}": 1,
}
"""Form of a command → how often it is drawn."""
LARGEST = 6
"""Largest number of a name."""


def write_exercises(rng: np.random.Generator, *, commands: int = 20) -> Iterator[Exercise]:
    """Return goals and lists of commands to repeat, without end.

    Args:
        rng: The source of all draws; the caller owns it.
        commands: Most commands in a list, at least 1.

    Raises:
        ValueError: The option is out of range.
        ImportError: The extra `alfworld` isn't installed.
    """
    check_installed()
    return _exercises(rng, checked_int("commands", commands, 1))


def _exercises(rng: np.random.Generator, most: int) -> Iterator[Exercise]:
    holds = affordances().holds
    receptacles = sorted(name.lower() for name in holds)
    things = sorted({name.lower() for held in holds.values() for name in held})
    shares = np.array([*FORMS.values()]) / sum(FORMS.values())

    def draw(names: list[str]) -> str:
        return names[int(rng.integers(len(names)))]

    def draw_command() -> str:
        form = str(rng.choice([*FORMS], p=shares))
        first, second = (int(number) for number in rng.integers(1, LARGEST + 1, 2))
        thing, receptacle = f"{draw(things)} {first}", f"{draw(receptacles)} {second}"
        return form.format(thing=thing, receptacle=receptacle)

    while True:
        thing, receptacle = draw(things), draw(receptacles)
        goal = draw([*sentences(draw([*KINDS]), USUAL.wording)])
        goal = goal.format(obj=thing, recep=receptacle, toggle=LAMP.lower())
        count = int(rng.integers((most + 2) // 3, most + 1))
        commands = list(dict.fromkeys(draw_command() for _ in range(count)))
        listed = ", ".join(f'"{command}"' for command in commands)
        reply = {"thoughts": f"find {thing}", "action": commands}
        if receptacle in goal:
            reply["thoughts"] = f"find {thing}, bring {thing} to {receptacle}"
        yield Exercise(
            f"Your task is to: {goal}. Your admissible actions now: {listed}.", json.dumps(reply)
        )
