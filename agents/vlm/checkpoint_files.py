"""The files of a checkpoint: what is read of it, and what identifies it.

A checkpoint may come from anybody. What is read are JSON, text and safetensors files in its folder;
pickles, which can run code, are never read. Nothing here imports torch.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from functools import lru_cache
from pathlib import Path
from typing import Any

from vlbench.records import ModelInfo

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
CONFIG, ADAPTER = "config.json", "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"

SUFFIXES = frozenset({".safetensors", ".json", ".jinja", ".model", ".txt", ".tiktoken"})
"""Files that are read: weights, configuration, chat templates and vocabularies."""
CODE = ".py"
"""Files that are read, and run, only with `trust_remote_code`."""
OBJECTS = (
    *(CONFIG, "generation_config.json", "processor_config.json", "preprocessor_config.json"),
    *("video_preprocessor_config.json", "tokenizer_config.json", "special_tokens_map.json"),
    "chat_template.json",
)
"""Files that hold a JSON object, and may be missing."""

TOKENIZER, TEMPLATE, PICTURES = "tokenizer", "chat template", "picture processor"
PROCESSOR_PARTS = {
    "tokenizer.*": TOKENIZER,
    "tokenizer_config.json": TOKENIZER,
    "special_tokens_map.json": TOKENIZER,
    "added_tokens.json": TOKENIZER,
    "vocab.*": TOKENIZER,
    "merges.txt": TOKENIZER,
    "*.model": TOKENIZER,
    "*.tiktoken": TOKENIZER,
    "chat_template.*": TEMPLATE,
    "processor_config.json": PICTURES,
    "preprocessor_config.json": PICTURES,
    "video_preprocessor_config.json": PICTURES,
}
"""Pattern of files → part of the processor that they describe."""

_CHANCE = frozenset(
    ("padding", "truncation", "is_local", "local_files_only", "name_or_path")
    + ("model_specific_special_tokens", "processor_class", "transformers_version")
)
"""What saving a processor again changes in its files without changing the processor."""

MAX_TEXT = 64 << 20
"""Largest file that isn't weights, in bytes."""
MAX_DEPTH = 50
"""Deepest nesting of a configuration."""
MAX_NAME = 100
"""Longest name of a model, in characters."""

_STEP = re.compile(r"step-(\d{6,})")
_COMMIT = re.compile("[0-9a-f]{40}")
_BUILT_IN = re.compile(r"[\w|]+")
"""Names of implementations in transformers; others name repositories whose code would run."""
_OWN_START = (True, False, None, "gaussian", "orthogonal")
"""Values of `init_lora_weights` that don't change the base."""


def resolve(checkpoint: str) -> Path:
    """Return a checkpoint's folder, with links such as a run's `latest` resolved.

    The path is relative to the current folder if `checkpoint` is.

    Raises:
        ValueError: There is no such folder.
    """
    if not Path(checkpoint).is_dir():
        raise ValueError(f"no checkpoint folder {checkpoint} (for the Hub, write hf:<id>)")
    folder = os.path.realpath(checkpoint)
    return Path(folder if os.path.isabs(checkpoint) else os.path.relpath(folder))


def step_of(folder: Path) -> int | None:
    """Return the training step of a checkpoint `step-000012`; None for another name."""
    match = _STEP.fullmatch(folder.name)
    return int(match[1]) if match else None


def is_adapter(folder: Path) -> bool:
    """Return whether a folder holds a LoRA adapter instead of a full model."""
    return (folder / ADAPTER).is_file()


def hub_name(folder: Path) -> str:
    """Return `<id>@<revision>` of a download in the Hub's cache; "" for another folder."""
    repository = folder.parent.parent.name
    if folder.parent.name != "snapshots" or not repository.startswith("models--"):
        return ""
    return f"{repository.removeprefix('models--').replace('--', '/')}@{folder.name}"


def place_of(folder: Path) -> str:
    """Return the name by which a checkpoint can be loaded again: its folder, or its Hub id."""
    name = hub_name(folder)
    return f"hf:{name}" if name else str(folder)


def name_hub_base(folder: Path) -> None:
    """Let a saved adapter name its base by Hub id and revision, not by its place in the cache."""
    settings = read_object(folder / ADAPTER)
    repository, _, revision = hub_name(Path(settings["base_model_name_or_path"])).partition("@")
    if repository:
        commit = revision if _COMMIT.fullmatch(revision) else None
        settings |= {"base_model_name_or_path": repository, "revision": commit}
        (folder / ADAPTER).write_text(json.dumps(settings, indent=2, sort_keys=True), "utf-8")


def processor_files(folder: Path) -> dict[str, str]:
    """Return the files in a folder that describe a processor, and the part that each describes."""
    return {
        path.name: part
        for path in files(folder, SUFFIXES)
        if path.parent == folder
        for pattern, part in PROCESSOR_PARTS.items()
        if fnmatch(path.name, pattern)
    }


def own_processor_files(adapter: Path, base: Path) -> dict[str, str]:
    """Return an adapter's files of a processor, as `processor_files`, that differ from the base's.

    They are used in place of the base's.
    """
    return {
        name: part
        for name, part in processor_files(adapter).items()
        if not _alike(adapter / name, base / name)
    }


def _alike(path: Path, other: Path) -> bool:
    """Return whether two files of a processor say the same."""
    if not other.is_file():
        return False
    if _hash_of(path) == _hash_of(other):
        return True
    return path.suffix == ".json" and _decisive(path) == _decisive(other)


def _decisive(path: Path) -> dict[str, Any]:
    return {name: value for name, value in read_object(path).items() if name not in _CHANCE}


def identify(folder: Path, base: Path | None = None) -> ModelInfo:
    """Return what identifies a checkpoint: its place, its step and the hash of its files.

    Args:
        folder: The checkpoint, with links resolved.
        base: The base of an adapter.
    """
    return ModelInfo(
        place_of(folder),
        step_of(folder),
        weights_hash(folder, base),
        base=place_of(base) if base else "",
    )


def weights_hash(folder: Path, base: Path | None = None) -> str:
    """Return the sha256 over weights, configuration, processor and chat template.

    It doesn't depend on where the folder is. Of an adapter it covers weights, configuration, base
    and the files of a processor that differ from the base's. A file that hasn't changed isn't read
    twice by a process.

    Args:
        folder: The checkpoint.
        base: The base of an adapter.
    """
    if base is None:
        hashes = {path.relative_to(folder).as_posix(): _hash_of(path) for path in files(folder)}
    else:
        settings = dict(read_object(folder / ADAPTER), base_model_name_or_path=None)
        settings.update({"revision": None} if "revision" in settings else {})
        own = own_processor_files(folder, base)
        hashes = {
            **{name: _hash_of(folder / name) for name in own},
            ADAPTER: hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest(),
            ADAPTER_WEIGHTS: _hash_of(folder / ADAPTER_WEIGHTS),
            "base": weights_hash(base),
        }
    lines = (f"{name} {digest}\n" for name, digest in sorted(hashes.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _hash_of(path: Path) -> str:
    status = path.stat()
    return _file_hash(os.path.realpath(path), status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=4096)
def _file_hash(path: str, size: int, modified: int) -> str:
    """Return the sha256 of a file; size and time of modification are part of the cache's key."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files(folder: Path, suffixes: frozenset[str] = SUFFIXES | {CODE}) -> Iterator[Path]:
    """Yield the files of a checkpoint that may be read."""
    for place in (folder, folder / "additional_chat_templates"):
        if place.is_dir():
            yield from (path for path in sorted(place.iterdir()) if path.suffix in suffixes)


def check_model(folder: Path) -> None:
    """Check the files of a full model, without reading weights.

    Raises:
        ValueError: A file isn't a plain file of the folder, is too large or isn't what its name
            says, there are no safetensors weights, or the configuration names code to run.
    """
    check_config(folder)
    if not (folder / WEIGHTS).is_file():
        _check_index(folder)


def check_config(folder: Path) -> None:
    """Check the files of a full model except weights.

    Raises:
        ValueError: As `check_model`.
    """
    _check_files(folder)
    if not (folder / CONFIG).is_file():
        raise ValueError(f"{folder} can't be loaded: it has no {CONFIG}{_suggestion(folder)}")
    _check_objects(folder)
    config = read_object(folder / CONFIG)
    if "transformers_weights" in config:
        raise ValueError(f"{folder / CONFIG}: transformers_weights isn't supported; remove it")
    if "shown_as" in config and not is_model_name(config["shown_as"]):
        raise ValueError(
            f"{folder / CONFIG}: shown_as must be a printable text of 1 to {MAX_NAME} characters, "
            f"got {config['shown_as']!r:.60}"
        )


def check_adapter(folder: Path) -> dict[str, Any]:
    """Check the files of a LoRA adapter; return its configuration.

    Raises:
        ValueError: As `check_model`.
    """
    _check_files(folder)
    _check_objects(folder)
    path = folder / ADAPTER
    settings = read_object(path)
    kind, base = settings.get("peft_type"), settings.get("base_model_name_or_path")
    start = settings.get("init_lora_weights", True)
    if kind != "LORA":
        raise ValueError(f'{path}: peft_type must be "LORA", got {kind!r:.60}')
    if not isinstance(base, str | None):
        raise ValueError(f"{path}: base_model_name_or_path must be a text, got {base!r:.60}")
    if settings.get("megatron_config"):
        raise ValueError(f"{path}: megatron_config isn't supported; it names a module to import")
    if not any(start is known or isinstance(start, str) and start == known for known in _OWN_START):
        raise ValueError(
            f'{path}: init_lora_weights must be true, false, "gaussian" or "orthogonal", got '
            f"{start!r:.60}; convert the adapter to a plain LoRA first"
        )
    if settings.get("lora_alpha") == 0:
        raise ValueError(f"{path}: lora_alpha is 0, so the adapter changes nothing")
    if not (folder / ADAPTER_WEIGHTS).is_file():
        raise ValueError(f"{folder} can't be loaded: it has no {ADAPTER_WEIGHTS}{_NO_PICKLES}")
    return settings


_NO_PICKLES = "; .bin and .pt files aren't read, because they can run code"


def is_model_name(value: object) -> bool:
    """Return whether a value can name a model in tables."""
    return isinstance(value, str) and 0 < len(value) <= MAX_NAME and value.isprintable()


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        ValueError: The file can't be read, holds something else or is nested too deeply.
    """
    try:
        value = json.loads(path.read_text("utf-8"))
        shallow = _depth(value) <= MAX_DEPTH
    except OSError as error:
        raise ValueError(f"{path} can't be read: {error.strerror}") from error
    except RecursionError:
        shallow = False
    except ValueError as error:
        raise ValueError(f"{path} isn't JSON: {error}") from error
    if not shallow:
        raise ValueError(f"{path} is nested more than {MAX_DEPTH} deep")
    if not isinstance(value, dict):
        raise ValueError(f"{path} must hold a JSON object, got {json.dumps(value):.40}")
    return value


def _depth(value: Any) -> int:
    if not isinstance(value, (dict, list)):
        return 0
    return 1 + max(map(_depth, value.values() if isinstance(value, dict) else value), default=0)


def check_inside(path: Path, folder: Path) -> None:
    """Check that a path is a plain file in a folder, or a link to one.

    The links of a download from the Hub may lead to its folder `blobs`.

    Raises:
        ValueError: It isn't.
    """
    target, home = Path(os.path.realpath(path)), Path(os.path.realpath(folder))
    places = [home]
    if home.parent.name == "snapshots":
        places.append(home.parent.parent / "blobs")
    if not target.is_file() or not any(target.is_relative_to(place) for place in places):
        raise ValueError(f"{path} can't be loaded: it isn't a plain file in its folder")


def _check_files(folder: Path) -> None:
    for path in files(folder):
        check_inside(path, folder)
        if path.suffix != ".safetensors" and path.stat().st_size > MAX_TEXT:
            raise ValueError(f"{path} can't be loaded: it has more than {MAX_TEXT >> 20} MiB")


def _check_index(folder: Path) -> None:
    path = folder / INDEX
    if not path.is_file():
        raise ValueError(
            f"{folder} can't be loaded: it has no {WEIGHTS} and no {INDEX}{_NO_PICKLES}"
        )
    parts = read_object(path).get("weight_map")
    if not isinstance(parts, dict) or not parts:
        raise ValueError(f"{path}: weight_map must be an object that names files")
    for name in parts.values():
        if not isinstance(name, str) or "/" in name or Path(name).suffix != ".safetensors":
            raise ValueError(f"{path} names {name!r:.60}, which isn't a safetensors file beside it")
    for name in sorted(set(parts.values())):
        check_inside(folder / name, folder)


def _check_objects(folder: Path) -> None:
    for name in OBJECTS:
        if (folder / name).is_file():
            _check_implementations(folder / name, read_object(folder / name))


def _check_implementations(path: Path, value: Any) -> None:
    """Refuse settings like `attn_implementation` that name code on the Hub."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            if "_implementation" in name:
                for choice in item.values() if isinstance(item, Mapping) else [item]:
                    if not (choice is None or _BUILT_IN.fullmatch(str(choice))):
                        raise ValueError(f"{path}: {name} must be built in, got {choice!r:.60}")
            _check_implementations(path, item)
    elif isinstance(value, list):
        for item in value:
            _check_implementations(path, item)


def _suggestion(folder: Path) -> str:
    latest = folder / "latest"
    return f"; did you mean {latest}?" if latest.is_dir() else ""
