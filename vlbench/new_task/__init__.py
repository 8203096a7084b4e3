"""The folder of a new task: a small one that works, to be changed into another."""

import keyword
import re
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from importlib.util import find_spec
from pathlib import Path

SUFFIX = ".txt"
"""End of the template's file names, which keeps tools from taking them for modules of ours."""


def class_name(name: str) -> str:
    """Return the name of a task's class, "CountDots" for "count_dots"."""
    return "".join(part.capitalize() for part in name.split("_"))


def check_name(name: str) -> None:
    """Check the name of a new task.

    Raises:
        ValueError: It can't be the name of a package, or it is one's that is installed.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or keyword.iskeyword(name):
        raise ValueError(
            f'a task\'s name is lower-case words joined by "_", like count_dots, got "{name}"'
        )
    spec = find_spec(name)
    if spec is not None and spec.origin is not None:
        raise ValueError(f'"{name}" is an installed module; choose another name')


def write_task(name: str, folder: Path) -> None:
    """Write the folder of a new task.

    Args:
        name: The package's name.
        folder: The folder, which holds nothing.

    Raises:
        ValueError: The name is refused by `check_name`.
        OSError: A file can't be written.
    """
    check_name(name)
    words = (
        ("my_task", name),
        ("MyTask", class_name(name)),
        ("my-task", name.replace("_", "-")),
    )
    for parts, text in _texts(files("vlbench.new_task").joinpath("template")):
        for old, new in words:
            parts = tuple(part.replace(old, new) for part in parts)
            text = text.replace(old, new)
        path = folder.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def _texts(folder: Traversable) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the path below a folder of each file of the template, and its text."""
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            for parts, text in _texts(entry):
                yield (entry.name, *parts), text
        else:
            name = entry.name if entry.name == "prompt.txt" else entry.name.removesuffix(SUFFIX)
            yield (name,), entry.read_text("utf-8")
