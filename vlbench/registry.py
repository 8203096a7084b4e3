"""Environments by the names that people type: "Points24", "points24", "vlbench/Points24-v0"."""

import re
from contextlib import suppress
from importlib import import_module
from importlib.resources import files
from importlib.resources.abc import Traversable
from importlib.util import find_spec
from typing import Any

import gymnasium
from gymnasium.envs.registration import load_env_creator

import vlbench
from vlbench.errors import unknown_name, user_code


def resolve_env_id(name: str) -> str:
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
        with user_code(f'env "{name}": module "{module}" can\'t be imported', importing=True):
            import_module(module)
    if env_id in gymnasium.registry:
        return env_id if env_id in vlbench.ENV_IDS else name
    ours = (*vlbench.ENV_IDS, *vlbench.UNRANKED_IDS)
    short = {_plain(short_name(known)): known for known in ours}
    if not module and _plain(name) in short:
        return short[_plain(name)]
    raise ValueError(
        unknown_name("env id", name, ours if "/" in name else [short_name(known) for known in ours])
    )


def short_name(env_id: str) -> str:
    """Return "Points24" of "vlbench/Points24-v0"; a version need not be there."""
    return re.sub(r"-v\d+$", "", env_id.rpartition("/")[2])


def env_class(env_id: str) -> Any:
    """Return the class, or the function, that makes an environment.

    Args:
        env_id: A registered id; the module of "module:id" must have been imported.

    Raises:
        ValueError: No such id is registered.
    """
    entry_point = _entry_point(env_id)
    return load_env_creator(entry_point) if isinstance(entry_point, str) else entry_point


def needed_extra(env_id: str) -> str:
    """Return the extra of vlbench that an environment needs, e.g. "alfworld"; "" for none.

    Raises:
        ValueError: No such id is registered.
    """
    return str(getattr(env_class(env_id), "extra", ""))


def task_module(env_id: str) -> str:
    """Return the name of a task's module; "" where it is registered by a callable.

    Raises:
        ValueError: No such id is registered.
    """
    entry_point = _entry_point(env_id)
    return entry_point.partition(":")[0] if isinstance(entry_point, str) else ""


def _entry_point(env_id: str) -> Any:
    name = env_id.rpartition(":")[2]
    if name not in gymnasium.registry:
        raise ValueError(unknown_name("env id", env_id, vlbench.ENV_IDS))
    return gymnasium.registry[name].entry_point


def task_folder(env_id: str) -> Traversable | None:
    """Return the folder of a task's package, which may hold frozen sets and bounds.

    Args:
        env_id: A registered id; the module of "module:id" must have been imported.

    Returns:
        None for an environment that is registered by a callable, or stands in a plain module or in
        one that can't be imported.

    Raises:
        ValueError: No such id is registered.
    """
    module = task_module(env_id)
    with suppress(ValueError), user_code():  # the packages around it are imported
        spec = find_spec(module) if module else None
        return files(module) if spec and spec.submodule_search_locations else None
    return None


def _plain(name: str) -> str:
    return name.replace("_", "").casefold()
