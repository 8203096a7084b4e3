"""Checks of paths on a command line, for `Option(check=…)`."""

import tempfile
from collections.abc import Callable
from pathlib import Path


def existing_file(path: Path) -> None:
    """Raise ValueError if the file doesn't exist."""
    if not path.is_file():
        raise ValueError(f"no file {path}")


def existing_folder(path: Path) -> None:
    """Raise ValueError if the folder doesn't exist."""
    if not path.is_dir():
        raise ValueError(f"no folder {path}")


def writable_file(path: Path) -> None:
    """Raise ValueError if the file can't be written; its folders may be missing."""
    if path.is_dir():
        raise ValueError(f"{path} is a folder, not a file")
    if path.exists() and not path.is_file():
        raise ValueError(f"{path} is a device, not a file")
    writable_folder(path.parent)


def new_file(path: Path) -> None:
    """Raise ValueError if the file of `--out` exists."""
    if path.exists() or path.is_symlink():
        raise ValueError(
            f"--out: {path} exists; choose another name, or replace it with --overwrite"
        )


def output_file(kind: str, start: bytes) -> Callable[[Path], None]:
    """Return a check of a file that is generated again: it replaces nothing of another kind.

    Args:
        kind: What the file is, e.g. "an HTML page".
        start: The first bytes of such a file, in lower case.
    """

    def check(path: Path) -> None:
        writable_file(path)
        if path.exists() and path.stat().st_size:
            with path.open("rb") as file:
                if not file.read(64).lstrip().lower().startswith(start):
                    raise ValueError(f"{path} exists and isn't {kind}; choose another name")

    return check


def writable_folder(path: Path) -> None:
    """Raise ValueError if the folder can't be written to, or can't be created."""
    existing = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    if not existing.is_dir():
        raise ValueError(f"{existing} is a file, not a folder")
    try:
        tempfile.TemporaryFile(dir=existing).close()  # leaves no file behind
    except OSError as error:
        raise ValueError(f"can't write to {existing} ({error.strerror})") from error
