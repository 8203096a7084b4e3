"""Look up environments by name: "Points24", "points24" or "vlbench/Points24-v0"."""

import re
import sys
from collections.abc import Iterable
from contextlib import suppress
from importlib import import_module
from importlib.resources import files
from importlib.resources.abc import Traversable
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import gymnasium
from gymnasium.envs.registration import load_env_creator

import vlbench
from vlbench.errors import unknown_name, user_code

ENV_HELP = "environment that the file names and whose module may be imported; may be given again"
"""Help of `--env`, in the commands that read somebody's records or data."""

ADAPTERS = ("GymV21Environment-v0", "GymV26Environment-v0")
"""Gymnasium's adapters, which make, and import, whatever environment their arguments name."""


def resolve_env_id(name: str) -> str:
    """Return the environment id for a name that the user wrote, never for one in a file.

    Args:
        name: A registered id; a task's name in any case, with or without underscores; or
            "module:namespace/Name-v0", which imports the module first, as `gymnasium.make` does.

    Returns:
        The id. It keeps the module of `name`, except for the benchmark's own ids.

    Raises:
        ValueError: The environment doesn't exist, or the module can't be imported.
    """
    module, _, env_id = name.rpartition(":")
    if module:
        with user_code(f'env "{name}": module "{module}" can\'t be imported', importing=True):
            import_user_module(module)
    if env_id in gymnasium.registry:
        return env_id if env_id in vlbench.ENV_IDS else name
    env_ids = (*vlbench.ENV_IDS, *vlbench.UNRANKED_IDS)
    by_name = {_plain(short_name(known)): known for known in env_ids}
    if not module and _plain(name) in by_name:
        return by_name[_plain(name)]
    names = env_ids if "/" in name else [short_name(known) for known in env_ids]
    raise ValueError(unknown_name("env id", name, names))


def import_user_module(name: str) -> ModuleType:
    """Import a module that the user named; it may be in the current folder."""
    if "" not in sys.path:
        sys.path.append("")
    return import_module(name)


def registered_id(env_id: str) -> str:
    """Return an id without its module, as Gymnasium knows it; nothing is imported.

    Records, data and entries name environments by such ids. A module in them is never imported:
    it must have been imported by the user, as `import_environments` does.

    Raises:
        ValueError: The id isn't registered.
    """
    module, _, name = env_id.rpartition(":")
    if name in gymnasium.registry and name not in ADAPTERS:
        return name
    if module:
        raise ValueError(
            f'env "{env_id}" is from the module "{module}", which isn\'t imported because a file '
            f"names it; if you trust the module, pass --env {env_id}"
        )
    raise ValueError(unknown_name("env id", env_id, vlbench.ENV_IDS))


def import_environments(names: Iterable[str], recorded: Iterable[str]) -> None:
    """Import the modules of the environments that the user named.

    Args:
        names: What the command line names, e.g. "module:namespace/Name-v0".
        recorded: Ids in a record.

    Raises:
        ValueError: A name is wrong, or a recorded id needs a module that no name has.
    """
    for name in names:
        resolve_env_id(name)
    for env_id in recorded:
        if ":" in env_id:
            registered_id(env_id)


def short_name(env_id: str) -> str:
    """Return "Points24" for "vlbench/Points24-v0"; the version is optional."""
    return re.sub(r"-v\d+$", "", env_id.rpartition("/")[2])


def env_class(env_id: str) -> Any:
    """Return the class or function that makes an environment.

    Args:
        env_id: A registered id; the module of "module:id" must have been imported.

    Raises:
        ValueError: The id isn't registered.
    """
    entry_point = _entry_point(env_id)
    return load_env_creator(entry_point) if isinstance(entry_point, str) else entry_point


def needed_extra(env_id: str) -> str:
    """Return the extra of vlbench that an environment needs, e.g. "alfworld"; "" for none.

    Raises:
        ValueError: The id isn't registered.
    """
    return str(getattr(env_class(env_id), "extra", ""))


def task_module(env_id: str) -> str:
    """Return the name of a task's module; "" if it is registered with a callable.

    Raises:
        ValueError: The id isn't registered.
    """
    entry_point = _entry_point(env_id)
    return entry_point.partition(":")[0] if isinstance(entry_point, str) else ""


def _entry_point(env_id: str) -> Any:
    return gymnasium.registry[registered_id(env_id)].entry_point


def task_folder(env_id: str) -> Traversable | None:
    """Return the folder of a task's package, which may hold frozen sets and bounds.

    Args:
        env_id: A registered id; the module of "module:id" must have been imported.

    Returns:
        None if the environment is registered with a callable, if its module is not a package, or
        if the module can't be imported.

    Raises:
        ValueError: The id isn't registered.
    """
    module = task_module(env_id)
    with suppress(ValueError), user_code():  # `find_spec` imports the parent packages
        spec = find_spec(module) if module else None
        return files(module) if spec and spec.submodule_search_locations else None
    return None


def _plain(name: str) -> str:
    return name.replace("_", "").casefold()
