"""What a reply in ALFWorld states, and what an expert writes.

The expert of `values` knows where everything lies and walks straight there: a student of it would
learn to know what no picture shows. So the demonstration is the heuristic's, a person who sees what
the student sees, looks everywhere in a sensible order and remembers.
"""

from collections.abc import Mapping

from vlbench.task import Demonstration, Fact, Field
from vlbench.tasks.alfworld.game import AlfworldGame, AlfworldState
from vlbench.tasks.alfworld.games.generator import STATIONS
from vlbench.tasks.alfworld.heuristic import SearchHeuristic
from vlbench.tasks.alfworld.world import REQUIRED_STATE, Room

LOCATION = Field("location", "perception")
HOLDING = Field("holding", "perception")
THOUGHTS = Field("thoughts", "reasoning")
FIELDS = (LOCATION, HOLDING, THOUGHTS)


def make_demonstration(
    game: AlfworldGame, state: AlfworldState, facts: Mapping[str, Fact], turns: int
) -> Demonstration | None:
    """State the location, what is in hand, what of the goal is here and what is next.

    A search costs turns and nothing else, so the command is return-optimal while the turns suffice.

    Args:
        game: The rules.
        state: A state that hasn't terminated.
        facts: What the picture shows.
        turns: Turns left, at least 1.

    Returns:
        None where the command isn't return-optimal.
    """
    room = game.room(state.instance)
    command = SearchHeuristic.from_history(room, state.world, state.commands).next_command()
    values = game.values(state, turns)
    if values.get(command, float("-inf")) < max(values.values()):
        return None
    kinds = {room.goal.target, room.goal.toggle}
    visible = facts["visible"]
    assert isinstance(visible, tuple)
    useful = [str(name) for name in visible if str(name).rpartition(" ")[0] in kinds]
    purpose = _purpose(room, state, command)
    fields = {
        LOCATION.name: facts["location"],
        HOLDING.name: facts["holding"],
        THOUGHTS.name: f"{', '.join(useful) or 'nothing wanted'} here, {purpose}",
    }
    return Demonstration(fields, command)


def _purpose(room: Room, state: AlfworldState, command: str) -> str:
    """Say what a command is for."""
    goal, held = room.goal, state.world.holding
    verb, _, rest = command.partition(" ")
    if not held:
        return f"take {rest.partition(' from ')[0]}" if verb == "take" else f"find {goal.target}"
    if room.item[held].kind != goal.target:
        return f"put {held} away"
    if goal.toggle:
        return f"use {goal.toggle}"
    condition = REQUIRED_STATE.get(goal.kind, "")
    if condition and (held, condition) not in state.world.states:
        return f"make {held} {condition} at {STATIONS[goal.kind].lower()}"
    return f"bring {held} to {goal.parent}"
