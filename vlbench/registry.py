"""Environments by name ("Points24", "points24" or "vlbench/Points24-v0"), and their rules."""

import inspect
import json
import re
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from importlib.resources import files
from importlib.resources.abc import Traversable
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Unpack, get_args, get_origin

import gymnasium
from gymnasium.envs.registration import load_env_creator

import vlbench
from vlbench.errors import unknown_name, user_code
from vlbench.task import CommonOptions

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
            imported = import_user_module(module)
        if imported.__spec__ is not None and imported.__spec__.origin is None:
            raise ValueError(
                f'env "{name}": the folder {module} has no __init__.py, so it is no package; if '
                f"the package is inside it, run the command there: cd {module}"
            )
    if env_id in gymnasium.registry:
        return env_id if env_id in vlbench.ENV_IDS else name
    env_ids = (*vlbench.ENV_IDS, *vlbench.UNRANKED_IDS)
    by_name = {_plain(short_name(known)): known for known in env_ids}
    if not module and _plain(name) in by_name:
        return by_name[_plain(name)]
    names = env_ids if "/" in name else [short_name(known) for known in env_ids]
    if module:
        of_module = (env_id for env_id, spec in gymnasium.registry.items() if _is_of(spec, module))
        names = [f"{module}:{env_id}" for env_id in of_module] or names
    raise ValueError(unknown_name("env id", name, names))


def _is_of(spec: Any, module: str) -> bool:
    """Return whether an environment's entry point is in a module or below it."""
    entry_point = spec.entry_point
    place = entry_point if isinstance(entry_point, str) else getattr(entry_point, "__module__", "")
    return f"{place.partition(':')[0]}.".startswith(f"{module}.")


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
            f"names it; if you trust the module, pass --env {env_id}, or import it in Python"
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


LOOKS = frozenset(CommonOptions.__annotations__)
"""Keyword arguments that don't change the game: how it is shown, and which instances are dealt."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What decides an environment's game; frozen sets and bounds hold for one id with its rules."""

    env_id: str
    """The id, with its version."""
    env_class: str
    """The class, as "module:name"."""
    parameters: dict[str, Any]
    """Every keyword argument → its value, as plain data, without LOOKS and the class's `no_rules`;
    also the limits and wrappers of the id's registration, if it has any."""

    def difference(self, frozen: "Rules") -> str:
        """Return the differences from the rules of a frozen set in words; "" if there are none."""
        parts = []
        for name in ("env_id", "env_class"):
            own, other = getattr(self, name), getattr(frozen, name)
            if own != other:
                parts.append(f"{name.removeprefix('env_')} {own} instead of {other}")
        for name in dict.fromkeys((*self.parameters, *frozen.parameters)):
            own, other = (json.dumps(r.parameters.get(name)) for r in (self, frozen))
            if own != other:
                parts.append(f"{name}={own} instead of {other}")
        return ", ".join(parts)


def rules_of(env_id: str, kwargs: Mapping[str, Any] = {}) -> Rules:
    """Return the rules of an environment.

    Args:
        env_id: A registered id; the module of "module:id" must have been imported.
        kwargs: Keyword arguments besides those of the registration.

    Raises:
        ValueError: The id isn't registered, or its class can't be imported.
    """
    with user_code():
        creator = env_class(env_id)
    spec = gymnasium.registry[env_id.rpartition(":")[2]]
    values = {**accepted_parameters(creator), **spec.kwargs, **kwargs}
    if spec.max_episode_steps is not None:
        values["max_episode_steps"] = spec.max_episode_steps
    if spec.additional_wrappers:
        values["additional_wrappers"] = [wrapper.name for wrapper in spec.additional_wrappers]
    no_rules = LOOKS | getattr(creator, "no_rules", frozenset())
    parameters = {name: value for name, value in values.items() if name not in no_rules}
    name = f"{creator.__module__}:{getattr(creator, '__qualname__', type(creator).__qualname__)}"
    return Rules(spec.id, name, json.loads(json.dumps(parameters, default=repr)))


def has_splits(env_id: str) -> bool:
    """Return whether an environment takes the argument `split`; False if it can't be imported."""
    with suppress(ValueError), user_code():
        return "split" in accepted_parameters(env_class(env_id))
    return False


def check_keywords(env_id: str, kwargs: Mapping[str, Any]) -> None:
    """Check the names of keyword arguments, as far as the environment's signature tells them.

    Raises:
        ValueError: One is unknown, the id isn't registered, or its class can't be imported.
    """
    with user_code():
        creator = env_class(env_id)
    try:
        inspect.signature(creator).bind_partial(**kwargs)
    except TypeError as error:
        known = accepted_parameters(creator)
        unknown = [name for name in kwargs if name not in known]
        raise ValueError(unknown_name("keyword argument", ", ".join(unknown), known)) from error


def accepted_parameters(creator: Any) -> dict[str, Any]:
    """Return the keyword arguments of an environment's class or function, and their defaults.

    Args:
        creator: As `env_class` returns it.

    Returns:
        Name → default; None for one without a default. A class that hands `**options` on has the
        keyword arguments of its bases too.
    """
    if not isinstance(creator, type):
        parameters = inspect.signature(creator).parameters.values()
        return {p.name: _default(p) for p in parameters if p.kind in _BY_NAME}
    names: dict[str, Any] = {}
    first = True
    for owner in creator.__mro__:
        if "__init__" not in vars(owner) or not issubclass(owner, gymnasium.Env):
            continue
        rest = None
        for parameter in list(inspect.signature(owner.__init__).parameters.values())[1:]:
            if parameter.kind in (_BY_NAME if first else _BY_NAME[:1]):
                names.setdefault(parameter.name, _default(parameter))
            elif parameter.kind is inspect.Parameter.VAR_KEYWORD:
                rest = parameter.annotation
        if get_origin(rest) is Unpack:  # of a TypedDict
            for name in get_args(rest)[0].__annotations__:
                names.setdefault(name, None)
        if rest is None:
            break
        first = False
    return names


_BY_NAME = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def _default(parameter: inspect.Parameter) -> Any:
    return None if parameter.default is inspect.Parameter.empty else parameter.default


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
