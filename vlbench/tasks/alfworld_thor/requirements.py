"""Checks the requirements of AI2-THOR without importing, starting or creating anything."""

import os
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from vlbench.tasks.alfworld.engine.client import EngineError
from vlbench.tasks.alfworld.games.official import DATA
from vlbench.tasks.alfworld_thor.trials import any_trial, data_folder

INSTALL = 'pip install "vlbench[thor]"'

PACKAGES: dict[str, tuple[tuple[str, ...], str]] = {
    "alfworld": (("alfworld",), r"0\.(4\.[2-9]|[5-9]).*"),
    "textworld": (("textworld",), r".*"),
    "ai2thor": (("ai2thor",), r"2\.1\.0"),
    "werkzeug": (("werkzeug",), r"2\.0\.3"),
    "flask": (("flask",), r"2\.[01]\..*"),
    "cv2": (("opencv-python-headless", "opencv-python"), r".*"),
}
"""Check → the distributions that provide it, and a pattern of the versions that work.

ALFRED's rooms work only with ai2thor 2.1.0, whose server needs a flask of its time.
"""

BUILD = "thor-201909061227-Linux64"
"""Name of Unity's program, as ai2thor 2.1.0 downloads it."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One requirement and whether it is met."""

    name: str
    ok: bool
    message: str
    """The version or path, or what to do."""
    package: bool = False
    """Whether it is a Python package."""


def needs() -> tuple[Requirement, ...]:
    """Check all requirements, in the best order to fix them."""
    packages = [_package(name, *requirement) for name, requirement in PACKAGES.items()]
    return (*packages, _unity(), _display(), _data())


def check() -> None:
    """Raise an error if a requirement isn't met.

    Raises:
        ImportError: Packages are missing or have the wrong version (and perhaps more is missing).
        EngineError: Something else is missing.
    """
    missing = [requirement for requirement in needs() if not requirement.ok]
    if missing:
        message = "; ".join(f"{requirement.name}: {requirement.message}" for requirement in missing)
        kind = ImportError if any(requirement.package for requirement in missing) else EngineError
        raise kind(f"AI2-THOR can't run here: {message}")


def build() -> Path:
    """Return the path of Unity's program, where ai2thor puts it."""
    return Path.home() / ".ai2thor" / "releases" / BUILD / BUILD


def _package(name: str, distributions: tuple[str, ...], versions: str) -> Requirement:
    present = next(filter(None, map(_version, distributions)), "")
    if not present:
        return Requirement(name, False, f"not installed: {INSTALL}", package=True)
    if not re.fullmatch(versions, present):
        message = f"version {present} doesn't work: {INSTALL} in a separate virtual environment"
        return Requirement(name, False, message, package=True)
    return Requirement(name, True, present, package=True)


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


def _unity() -> Requirement:
    program = build()
    if not program.is_file():
        message = f"no {program}; see docs/alfworld-thor.md for the command that downloads it"
        return Requirement("unity", False, message)
    if not os.access(program, os.X_OK):
        return Requirement("unity", False, f"{program} isn't executable: chmod +x it")
    return Requirement("unity", True, str(program))


def _display() -> Requirement:
    display = os.environ.get("DISPLAY", "")
    if not display:
        return Requirement("display", False, "DISPLAY isn't set: it must name an X server with GL")
    if (reach := _way_to(display)) is None:
        message = f'DISPLAY is "{display}"; wanted one like ":0"'
        return Requirement("display", False, message)
    try:
        reach()
    except OSError as error:
        message = f"no X server answers at {display} ({error.strerror or error}): start one with GL"
        return Requirement("display", False, message)
    return Requirement("display", True, f"{display} answers (only Unity can check for GL)")


def _way_to(display: str) -> Callable[[], None] | None:
    """Return a function that connects to an X server and disconnects; None for a malformed name."""
    match = re.fullmatch(r"(?P<host>[^:/]*):(?P<number>\d{1,5})(\.\d+)?", display)
    if match is None:
        return None
    number = int(match["number"])
    if match["host"] in ("", "unix"):

        def local() -> None:
            with socket.socket(socket.AF_UNIX) as server:
                server.settimeout(2)
                server.connect(f"/tmp/.X11-unix/X{number}")

        return local
    host = match["host"]
    return lambda: socket.create_connection((host, 6000 + number), timeout=2).close()


def _data() -> Requirement:
    if any_trial():
        return Requirement("data", True, str(data_folder()))
    message = f"no episodes in {data_folder()}: set {DATA}, or run alfworld-download"
    return Requirement("data", False, message)
