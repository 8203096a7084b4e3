"""What a folder holds, by the files that commands leave in it.

Each command writes only into a new folder, an empty one, or one of its own kind.
"""

import json
from collections.abc import Callable
from pathlib import Path

from vlbench.cli.paths import writable_folder

SETTINGS = "settings.jsonl"
"""File of the calls of a command that trains; see `vlbench.cli.settings`."""
EVALUATION, SITE, MODEL = "an evaluation run", "a leaderboard site", "a model"
FILES, FOLDERS = "a folder of other files", "a folder of other folders"
MARKS = {
    "run.json": EVALUATION,
    ".vlbench-site": SITE,
    "step-*/trainer.pt": "a training run of an earlier version",
    "trainer.pt": "a checkpoint of a training run",
    "adapter_config.json": "a LoRA adapter",
    "*.safetensors": MODEL,
    "*.safetensors.index.json": MODEL,
}
"""File, or pattern of files → kind of the folder; the first that matches decides."""
FIRST_LINE = 1_000_000
"""Length up to which the first line of SETTINGS is read, in characters."""


def run_kind(command: str) -> str:
    """Return the kind of the folders that a training command writes."""
    return f"a run of {command}"


def folder_kind(folder: Path) -> str:
    """Return what a folder holds, e.g. "a run of ppo"; "" if it is absent or empty.

    Hidden files that no command of ours leaves don't count.
    """
    if not folder.is_dir():
        return ""
    if (folder / SETTINGS).is_file():
        return run_kind(_command_of(folder / SETTINGS))
    for pattern, kind in MARKS.items():
        if next(folder.glob(pattern), None):
            return kind
    others = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    if files := [path.name for path in others if not path.is_dir()]:
        return f"{FILES} (the first: {files[0]})"
    return FOLDERS if others else ""


BESIDE: dict[str, tuple[str, ...]] = {
    EVALUATION: (FOLDERS,),
    run_kind("reproduce"): (FOLDERS, FILES),
}
"""Kind → what else a new folder of this kind may hold. A study writes only into folders of its own,
beside its results."""


def _command_of(path: Path) -> str:
    """Return the command that a file of settings names."""
    try:
        with path.open(encoding="utf-8") as file:
            return str(json.loads(file.readline(FIRST_LINE))["command"])[:40]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "an unknown command"


def check_kind(folder: Path, kind: str) -> None:
    """Check that a command may write into a folder: it is new, empty, or of the command's kind.

    Raises:
        ValueError: It holds something else.
    """
    actual = folder_kind(folder)
    if actual not in ("", kind) and not actual.startswith(BESIDE.get(kind, ())):
        raise ValueError(f"{folder} is {actual}, not {kind}; choose another folder")


def output_folder(kind: str) -> Callable[[Path], None]:
    """Return a check of `--out`: the folder is new, empty or of a kind, and can be written to."""

    def check(folder: Path) -> None:
        writable_folder(folder)
        check_kind(folder, kind)

    return check


def new_folder(folder: Path) -> None:
    """Check that a folder holds nothing and can be written to.

    Raises:
        ValueError: It holds something, or can't be written to.
    """
    writable_folder(folder)
    if kind := folder_kind(folder):
        raise ValueError(f"{folder} is {kind}; choose a new folder")
