"""Environments by the names that people type: "Points24", "points24", "vlbench/Points24-v0"."""

import re
from importlib import import_module

import gymnasium

import vlbench
from vlbench.foreign import foreign_code
from vlbench.nearest import unknown


def full_id(name: str) -> str:
    """Return the id that a name stands for.

    Args:
        name: A registered id; a task's name alone, in any case and with underscores or without; or
            "module:namespace/Name-v0", which imports the module first, as `gymnasium.make` does.

    Returns:
        The id, with its module where one was named and the id isn't ours.

    Raises:
        ValueError: No such environment, or no such module.
    """
    module, _, env_id = name.rpartition(":")
    if module:
        with foreign_code(f'env "{name}": module "{module}" can\'t be imported', imported=True):
            import_module(module)
    if env_id in gymnasium.registry:
        return env_id if env_id in vlbench.ENV_IDS else name
    ours = (*vlbench.ENV_IDS, *vlbench.APART_IDS)
    short = {_plain(short_name(known)): known for known in ours}
    if not module and _plain(name) in short:
        return short[_plain(name)]
    raise ValueError(
        unknown("env id", name, ours if "/" in name else [short_name(known) for known in ours])
    )


def short_name(env_id: str) -> str:
    """Return "Points24" of "vlbench/Points24-v0"; a version need not be there."""
    return re.sub(r"-v\d+$", "", env_id.rpartition("/")[2])


def _plain(name: str) -> str:
    return name.replace("_", "").casefold()
