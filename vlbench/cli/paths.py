"""Checks of paths on a command line, for `Option(check=…)`."""

import tempfile
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


def page_file(path: Path) -> None:
    """Raise ValueError if the page can't be written, or would replace a file that is no page."""
    writable_file(path)
    if path.exists() and path.stat().st_size:
        with path.open("rb") as file:
            if not file.read(64).lstrip().lower().startswith(b"<!doctype html"):
                raise ValueError(f"{path} exists and is no HTML page; choose another name")


def writable_folder(path: Path) -> None:
    """Raise ValueError if the folder can't be written to, or can't be created."""
    existing = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    if not existing.is_dir():
        raise ValueError(f"{existing} is a file, not a folder")
    try:
        tempfile.TemporaryFile(dir=existing).close()  # leaves no file behind
    except OSError as error:
        raise ValueError(f"can't write to {existing} ({error.strerror})") from error
