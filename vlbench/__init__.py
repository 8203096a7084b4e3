"""vlbench: a Gymnasium benchmark of visual decision tasks for vision-language models.

Importing it registers the environments. It loads nothing heavier than gymnasium.
"""

import json
from importlib import import_module
from typing import Any

import gymnasium

__version__ = "0.1.0"

__all__ = [
    "CARD_IDS",
    "ENV_IDS",
    "HEADLINES",
    "RL4VLM_IDS",
    "UNRANKED_IDS",
    "__version__",
    "adapt",
    "reply",
]


def _register(name: str, module: str, namespace: str = "vlbench") -> str:
    """Register `<namespace>/<name>-v0`; the module defines its class and its vector class."""
    env_id = f"{namespace}/{name}-v0"
    gymnasium.register(
        id=env_id,
        entry_point=f"{module}:{name}",
        vector_entry_point=f"{module}:{name}Vector",
        # VLEnv enforces the order itself, and `vlbench.contract` checks more than Gymnasium does.
        order_enforce=False,
        disable_env_checker=True,
    )
    return env_id


CARD_IDS: tuple[str, ...] = (
    _register("NumberLine", "vlbench.tasks.number_line"),
    _register("EZPoints", "vlbench.tasks.ez_points"),
    _register("Points24", "vlbench.tasks.points24"),
    _register("Blackjack", "vlbench.tasks.blackjack"),
)
"""The tasks of RL4VLM's `gym_cards`."""

ENV_IDS: tuple[str, ...] = (
    *CARD_IDS,
    _register("ALFWorld", "vlbench.tasks.alfworld"),
)
"""The environments of the benchmark, in the order of its tables."""

HEADLINES: dict[str, tuple[str, ...]] = {"vlbench": ENV_IDS, "cards": CARD_IDS}
"""Table → the environments whose normalised success it averages."""

UNRANKED_IDS: tuple[str, ...] = (_register("ALFWorldThor", "vlbench.tasks.alfworld_thor"),)
"""Environments outside the tables: never averaged with others, played only when requested."""

RL4VLM_IDS: tuple[str, ...] = (
    _register("NumberLine", "vlbench.rl4vlm.number_line", "rl4vlm"),
    _register("EZPoints", "vlbench.rl4vlm.ez_points", "rl4vlm"),
    _register("Points24", "vlbench.rl4vlm.points24", "rl4vlm"),
    _register("Blackjack", "vlbench.rl4vlm.blackjack", "rl4vlm"),
)
"""RL4VLM's original tasks, to compare with published numbers; see `vlbench.rl4vlm`."""


def reply(action: str, **fields: Any) -> str:
    """Write a well-formed reply.

    Args:
        action: The action text.
        **fields: The fields before it, e.g. `thoughts="…"`; "_" in a name becomes a space.
    """
    statements = {name.replace("_", " "): value for name, value in fields.items()}
    return json.dumps({**statements, "action": action}, ensure_ascii=False)


_LATER = {"adapt": "vlbench.adapters"}
"""Name → the module that defines it, which is imported on first use."""


def __getattr__(name: str) -> Any:
    """Return what is imported on first use: `vlbench.adapt`."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LATER[name]), name)
