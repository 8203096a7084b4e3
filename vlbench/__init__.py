"""vlbench: a Gymnasium benchmark of visual decision tasks for vision-language models.

Importing it registers the environments and loads nothing heavier than gymnasium.
"""

import json
from typing import Any

import gymnasium

__version__ = "0.1.0"

__all__ = ["ENV_IDS", "__version__", "reply"]


def _register(name: str, module: str) -> str:
    """Register `vlbench/<name>-v0`, whose class and vector class stand in a task's folder."""
    gymnasium.register(
        id=f"vlbench/{name}-v0",
        entry_point=f"{module}:{name}",
        vector_entry_point=f"{module}:{name}Vector",
    )
    return f"vlbench/{name}-v0"


ENV_IDS: tuple[str, ...] = (
    _register("NumberLine", "vlbench.tasks.number_line"),
    _register("EZPoints", "vlbench.tasks.ez_points"),
    _register("Points24", "vlbench.tasks.points24"),
    _register("Blackjack", "vlbench.tasks.blackjack"),
)
"""The ids of the benchmark, in the order of its tables."""


def reply(action: str, **fields: Any) -> str:
    """Write a well-formed reply.

    Args:
        action: The action text.
        **fields: What stands before it, e.g. `thoughts="…"`; "_" in a name is written as a space.
    """
    spoken = {name.replace("_", " "): value for name, value in fields.items()}
    return json.dumps({**spoken, "action": action}, ensure_ascii=False)
