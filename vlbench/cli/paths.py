"""What a path on a command line must be, for `Option(check=…)`."""

import tempfile
from pathlib import Path


def existing_file(path: Path) -> None:
    """Raise ValueError if there is no such file."""
    if not path.is_file():
        raise ValueError(f"no file {path}")


def existing_folder(path: Path) -> None:
    """Raise ValueError if there is no such folder."""
    if not path.is_dir():
        raise ValueError(f"no folder {path}")


def writable_file(path: Path) -> None:
    """Raise ValueError if no file can be written there; missing folders are no hindrance."""
    if path.is_dir():
        raise ValueError(f"{path} is a folder, not a file")
    writable_folder(path.parent)


def writable_folder(path: Path) -> None:
    """Raise ValueError if no file can be written into the folder, or into one made there."""
    existing = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    if not existing.is_dir():
        raise ValueError(f"{existing} is a file, not a folder")
    try:
        tempfile.TemporaryFile(dir=existing).close()  # leaves no name behind
    except OSError as error:
        raise ValueError(f"nothing can be written into {existing} ({error.strerror})") from error
