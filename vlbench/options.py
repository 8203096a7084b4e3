"""What environments may be told: keyword arguments when they are made, options of `reset`."""

import inspect
from collections.abc import Mapping
from typing import Any, NamedTuple, TypedDict

import gymnasium
import numpy as np

from vlbench.instances import MAX_PRESENTATION
from vlbench.nearest import unknown


class Options(TypedDict, total=False):
    """Keyword arguments that every environment takes besides those of its task."""

    split: str
    render_mode: str | None


class Start(NamedTuple):
    """Where an episode is to start, as far as the options of `reset` say."""

    instance: str | None
    presentation: int | None


def reset_options(options: Mapping[str, Any]) -> Start:
    """Return what the options of `reset` name.

    Raises:
        ValueError: An option is unknown or of another kind; the message names the nearest.
    """
    for name in options:
        if name not in ("instance", "presentation"):
            raise ValueError(unknown("reset option", name, ("instance", "presentation")))
    instance, number = options.get("instance"), options.get("presentation")
    if instance is not None and not isinstance(instance, str):
        raise ValueError(f'instance must be a str like "points24/3-3-8-8", got {instance!r}')
    if number is not None and (
        isinstance(number, bool)
        or not isinstance(number, (int, np.integer))
        or not 0 <= number < MAX_PRESENTATION
    ):
        raise ValueError(
            f"presentation must be an integer from 0 to {MAX_PRESENTATION - 1}, got {number!r}"
        )
    return Start(instance, None if number is None else int(number))


def accepted_options(env_class: type) -> list[str]:
    """Return the keyword arguments that an environment class takes."""
    names: dict[str, None] = {}
    for owner in env_class.__mro__:
        if "__init__" in vars(owner) and issubclass(owner, gymnasium.Env):
            for name, parameter in inspect.signature(owner.__init__).parameters.items():
                if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
                    names[name] = None
    return list(names)
