"""The fields of an ALFWorld reply, and the expert's demonstration.

The expert behind `values` knows all object locations and walks straight there; a student would have
to guess what no picture shows. So demonstrations come from the heuristic, which sees what the
student sees, searches in a sensible order and remembers.
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
    """Return location, object in hand, goal objects in view, purpose and next command.

    Searching costs only turns, so the command is return-optimal while enough turns remain.

    Args:
        game: The rules.
        state: A state that hasn't terminated.
        facts: The facts in the picture.
        turns: Turns that remain, at least 1.

    Returns:
        None if the command isn't return-optimal.
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
    """Describe the purpose of a command."""
    goal, held = room.goal, state.world.holding
    verb, _, rest = command.partition(" ")
    if not held:
        return f"take {rest.partition(' from ')[0]}" if verb == "take" else f"find {goal.target}"
    if room.item[held].kind != goal.target:
        return f"put {held} away"
    if goal.toggle:
        return f"use {goal.toggle}"
    required_state = REQUIRED_STATE.get(goal.kind, "")
    if required_state and (held, required_state) not in state.world.states:
        return f"make {held} {required_state} at {STATIONS[goal.kind].lower()}"
    return f"bring {held} to {goal.parent}"
