"""Tasks outside of the benchmark: an entry holds them only where the reader names them.

Their code is somebody's module, which an entry never imports; `--env MODULE:ID` does. They count in
no headline.
"""

from collections.abc import Iterable

import vlbench
from vlbench.cli import option
from vlbench.registry import resolve_env_id
from vlbench.suites import TEST, shipped_suites

HELP = "task outside of the benchmark that entries may hold; its module is imported; repeatable"
LABEL = "not a task of the benchmark"
"""The caveat beside the numbers of such a task."""


def env_option() -> tuple[str, ...]:
    """Return the option `--env MODULE:ID` of a command that reads runs or entries."""
    return option((), HELP, metavar="MODULE:ID")


def known_ids(names: Iterable[str]) -> tuple[str, ...]:
    """Return the benchmark's ids and those that the user names, whose modules are imported.

    Raises:
        ValueError: A name is wrong, or its task has no frozen set `test`.
    """
    named = [resolve_env_id(name) for name in names]
    for env_id in named:
        if TEST not in shipped_suites(env_id):
            raise ValueError(
                f"{env_id} has no frozen set {TEST}, which an entry plays; write it with "
                f"python -m vlbench.freeze {env_id}"
            )
    return tuple(dict.fromkeys((*vlbench.ENV_IDS, *named)))


def is_outside(env_id: str) -> bool:
    """Return whether a task isn't one of the benchmark's."""
    return env_id not in vlbench.ENV_IDS
