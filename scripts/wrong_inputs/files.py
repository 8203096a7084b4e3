"""Steps that write or change files in the current folder, leaderboard entries among them."""

import gzip
import hashlib
import io
import json
import shutil
import tarfile
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


def spread(folder: str) -> Step:
    """Move what lies in a folder out of it, and remove the folder."""

    def step() -> None:
        for path in sorted(Path(folder).iterdir()):
            path.rename(path.name)
        Path(folder).rmdir()

    return step


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


Change = Callable[[dict[str, Any], list[Any]], object]
"""Changes a manifest and the episodes of its only part in place."""


def read_entry(path: str) -> tuple[dict[str, Any], str, list[Any]]:
    """Return the manifest, the name of the only part, and its episodes."""
    with tarfile.open(path) as tar:
        texts = {member.name: tar.extractfile(member).read() for member in tar}
    manifest = json.loads(texts.pop("manifest.json"))
    ((part, text),) = texts.items()
    return manifest, part, [json.loads(line) for line in text.splitlines()]


def edit_entry(change: Change, path: str = "entry.tar.gz", out: str = "") -> None:
    """Change an entry and seal it anew.

    Args:
        change: The change.
        path: The entry.
        out: Where to write it; in its own place by default.
    """
    from leaderboard.archive import write_archive
    from leaderboard.schema import canonical

    manifest, part, episodes = read_entry(path)
    change(manifest, episodes)
    text = b"".join(canonical(episode) + b"\n" for episode in episodes)
    sha256 = hashlib.sha256(text).hexdigest()
    manifest["suites"][0]["part"].update(sha256=sha256, size=len(text))
    manifest["digest"] = hashlib.sha256(canonical(manifest | {"digest": ""})).hexdigest()
    head = json.dumps(manifest, indent=1, sort_keys=True).encode() + b"\n"
    write_archive(Path(out or path), {"manifest.json": head, part: text})


def edit_bytes(change: Callable[[bytes], bytes], path: str = "entry.tar.gz") -> None:
    """Change the bytes of an entry."""
    Path(path).write_bytes(change(Path(path).read_bytes()))


def compress_again(raw: bytes, name: str = "") -> bytes:
    """Return a gzip file of another form: with a file name in its header, and a time."""
    out = io.BytesIO()
    with gzip.GzipFile(name, "wb", fileobj=out, mtime=5) as file:
        file.write(raw)
    return out.getvalue()
