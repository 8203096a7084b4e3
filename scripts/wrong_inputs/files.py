"""Steps that write or change files in the current folder."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scripts.wrong_inputs.case import TRACE

Step = Callable[[], object]
TRAP = f"open({TRACE!r}, 'w').close()\n"
"""Python code that leaves a trace in the current folder."""
DEEP = "[" * 100_000 + "]" * 100_000


class Payload:
    """A pickle of it runs code when it is loaded."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Leave a trace in the current folder."""
        return exec, (TRAP,)


def write(path: str, content: object) -> Step:
    """Write a file; content that is neither text nor bytes is written as JSON."""

    def step() -> None:
        place = Path(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            place.write_bytes(content)
        else:
            place.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")

    return step


def edit(path: str, *names: str, **values: object) -> Step:
    """Change values of an object in a JSON file; `...` removes a value."""

    def step() -> None:
        place = Path(path)
        data = inner = json.loads(place.read_text("utf-8"))
        for name in names:
            inner = inner[name]
        for name, value in values.items():
            if value is ...:
                inner.pop(name)
            else:
                inner[name] = value
        place.write_text(json.dumps(data), "utf-8")

    return step


def edit_lines(path: str, change: Callable[[list[Any]], object]) -> Step:
    """Change the list of the objects of a JSONL file in place."""

    def step() -> None:
        lines = [json.loads(line) for line in Path(path).read_text("utf-8").splitlines()]
        change(lines)
        text = "".join(
            json.dumps(line, ensure_ascii=False, sort_keys=True, separators=(",", ":")) + "\n"
            for line in lines
        )
        Path(path).write_text(text, "utf-8")

    return step


def replace(path: str, old: str, new: str, count: int = -1) -> Step:
    """Replace a text in a file."""

    def step() -> None:
        text = Path(path).read_text("utf-8")
        assert old in text, f"{path} has no {old!r}"
        Path(path).write_text(text.replace(old, new, count), "utf-8")

    return step


def remove(path: str) -> Step:
    return lambda: shutil.rmtree(path) if Path(path).is_dir() else Path(path).unlink()


def move(old: str, new: str) -> Step:
    return lambda: shutil.move(old, new)


def copy(old: str, new: str) -> Step:
    return lambda: shutil.copytree(old, new, symlinks=True)


def link(path: str, target: str) -> Step:
    """Put a link in place of what is there."""

    def step() -> None:
        Path(path).unlink(missing_ok=True)
        Path(path).symlink_to(target)

    return step


def pickle(path: str) -> Step:
    """Write a pickle of PyTorch's that runs code when it is loaded."""

    def step() -> None:
        import torch

        torch.save(Payload(), path)

    return step


def edit_weights(path: str, change: Callable[[dict[str, Any]], object]) -> Step:
    """Change the tensors of a file of weights, by name."""

    def step() -> None:
        from safetensors.torch import load_file, save_file

        tensors = load_file(path)
        change(tensors)
        save_file(tensors, path, metadata={"format": "pt"})

    return step
