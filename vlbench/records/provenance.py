"""What made a record: versions of packages, and the commit of the checkout."""

import platform
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import vlbench

PACKAGES = ("gymnasium", "numpy", "pillow", "alfworld", "textworld")
"""Packages that observations may depend on."""


def versions() -> dict[str, str]:
    """Return the versions of Python, vlbench and the installed ones of PACKAGES."""
    own = {"python": platform.python_version(), "vlbench": vlbench.__version__}
    return own | package_versions(PACKAGES)


def package_versions(packages: Iterable[str]) -> dict[str, str]:
    """Return package → version for the packages that are installed."""
    installed = {}
    for package in packages:
        with suppress(PackageNotFoundError):
            installed[package] = version(package)
    return installed


def git_commit() -> str:
    """Return the commit of the checkout that vlbench runs from; "" outside a checkout."""
    return (_git("rev-parse", "HEAD") or "").strip()


def git_dirty() -> bool | None:
    """Return whether that checkout has uncommitted changes; None outside a checkout."""
    changes = _git("--no-optional-locks", "status", "--porcelain")
    return None if changes is None else bool(changes)


def _git(*arguments: str) -> str | None:
    """Return git's output for the checkout; None without a checkout or without git."""
    checkout = Path(vlbench.__file__).parent.parent
    if not (checkout / ".git").exists():
        return None
    command = ["git", "-C", str(checkout), *arguments]
    try:
        process = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return process.stdout if process.returncode == 0 else None
