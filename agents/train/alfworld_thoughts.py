"""What is written in ALFWorld: where one stands, what one holds and sees, and what is next.

ALFWorld's expert knows where everything lies and walks straight there: who learned from it would
learn to know what nothing shows. So the teacher here is the task's heuristic, a person who sees
what the student sees, looks everywhere in a sensible order and remembers.
"""

from collections.abc import Mapping
from typing import Any

from vlbench.task import Fact
from vlbench.tasks.alfworld.game import AlfworldGame, AlfworldState
from vlbench.tasks.alfworld.games.generator import STATIONS
from vlbench.tasks.alfworld.heuristic import Person
from vlbench.tasks.alfworld.world import WANTED, Room


def household(
    game: AlfworldGame, state: AlfworldState, facts: Mapping[str, Fact], turns_left: int
) -> tuple[dict[str, Any], str] | None:
    """Return what a person writes before its command, and the command.

    Looking for something costs turns and nothing else, so its command is return-optimal as long as
    the turns suffice.

    Args:
        game: The rules.
        state: What holds.
        facts: What the picture shows.
        turns_left: Turns that may still be played.

    Returns:
        None where the command isn't return-optimal.
    """
    room = game.room(state.instance)
    command = Person.after(room, state.world, state.commands).tries()
    values = game.values(state, turns_left)
    if values.get(command, float("-inf")) < max(values.values()):
        return None
    wanted = {room.goal.target, room.goal.toggle}
    seen = facts["visible"]
    assert isinstance(seen, tuple)
    found = [str(name) for name in seen if str(name).rpartition(" ")[0] in wanted]
    fields = {
        "location": facts["location"],
        "holding": facts["holding"],
        "thoughts": f"{', '.join(found) or 'nothing wanted'} here, {_next(room, state, command)}",
    }
    return fields, command


def _next(room: Room, state: AlfworldState, command: str) -> str:
    """Say what a person's command is good for."""
    goal, held = room.goal, state.world.holding
    verb, _, rest = command.partition(" ")
    if not held:
        return f"take {rest.partition(' from ')[0]}" if verb == "take" else f"find {goal.target}"
    if room.item[held].kind != goal.target:
        return f"put {held} away"
    if goal.toggle:
        return f"use {goal.toggle}"
    wanted = WANTED.get(goal.kind, "")
    if wanted and (held, wanted) not in state.world.states:
        return f"make {held} {wanted} at {STATIONS[goal.kind].lower()}"
    return f"bring {held} to {goal.parent}"
