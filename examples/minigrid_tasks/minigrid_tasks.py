"""Three of Minigrid's environments as vlbench tasks: `--env minigrid_tasks:minigrid/DoorKey-v0`.

Needs the package minigrid (the extra `minigrid`).
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import gymnasium
import minigrid  # noqa: F401  # registers its environments

import vlbench

PROMPT = """\
You are the red triangle in a grid, and look where its tip points. Your task: $mission. Each turn \
you take one action: $actions.
Answer with one valid JSON object:
{
[cot, cot_facts] "thoughts": "what you see, and what to do next",
"action": $choices
}
"""

MOVES = {
    "left": (0, "turn left"),
    "right": (1, "turn right"),
    "forward": (2, "step forward"),
    "pickup": (3, "pick up the object in front of you"),
    "toggle": (5, "open what is in front of you"),
}
"""Action → its number in Minigrid, and what it does."""

TASKS = {
    "Empty": ("MiniGrid-Empty-Random-5x5-v0", ("left", "right", "forward")),
    "DoorKey": ("MiniGrid-DoorKey-5x5-v0", tuple(MOVES)),
    "LavaCrossing": ("MiniGrid-LavaCrossingS9N1-v0", ("left", "right", "forward")),
}
"""Name → Minigrid's id, and the actions that it needs."""


def mission(observation: Mapping[str, Any], info: Mapping[str, Any]) -> dict[str, str]:
    """Return the sentence that says what to do."""
    return {"mission": observation["mission"]}


for name, (env_id, actions) in TASKS.items():
    words = ", ".join(f'"{action}" ({MOVES[action][1]})' for action in actions)
    choices = " or ".join(f'"{action}"' for action in actions)
    vlbench.adapt(
        partial(gymnasium.make, env_id, render_mode="rgb_array"),
        actions={action: MOVES[action][0] for action in actions},
        prompt=PROMPT.replace("$actions", words).replace("$choices", choices),
        facts=mission,
        id=f"minigrid/{name}-v0",
    )
