"""Find the folders of a checkpoint, on this machine or on the Hugging Face Hub."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils.tqdm import tqdm

from agents.vlm import checkpoint_files
from agents.vlm.trial import one_line

HUB = "hf:"
"""Prefix of a checkpoint on the Hugging Face Hub: `hf:<id>` or `hf:<id>@<revision>`."""

_HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")
"""An id on the Hub, as peft writes it in an adapter's config."""


@dataclass(frozen=True)
class Source:
    """The folders of a checkpoint, with links resolved."""

    base: Path
    """The full model."""
    base_name: str
    """The full model as the user, or the adapter's config, names it."""
    adapter: Path | None = None
    """The adapter on it, if any."""
    trust_remote_code: bool = False
    """Whether Python code in the folders is run."""
    processor: Path | None = None
    """Folder of the processor, if it isn't the base's."""

    @property
    def weights_size(self) -> int:
        """Size of all weights, in bytes."""
        folders = [self.base, *([self.adapter] if self.adapter else [])]
        files = (path for folder in folders for path in folder.glob("*.safetensors"))
        return sum(path.stat().st_size for path in files)


def find(checkpoint: str, base: str = "", trust_remote_code: bool = False) -> Source:
    """Return the folders of a checkpoint, whose files have been checked.

    What is on the Hub is downloaded, unless it is in the local cache.

    Args:
        checkpoint: Folder, `hf:<id>` or `hf:<id>@<revision>`.
        base: The adapter's base, instead of the one in its config.
        trust_remote_code: Run Python code shipped with the checkpoint.

    Raises:
        ValueError: There is no such folder, or it can't be loaded.
    """
    folder = find_folder(checkpoint)
    if not checkpoint_files.is_adapter(folder):
        if base:
            raise ValueError(f"{checkpoint} isn't an adapter, so it takes no base")
        checkpoint_files.check_model(folder)
        return Source(folder, checkpoint, None, trust_remote_code)
    settings = checkpoint_files.check_adapter(folder)
    if base:
        base_folder = find_folder(base)
    else:
        base = settings.get("base_model_name_or_path") or ""
        if not base:
            raise ValueError(
                f"{checkpoint} is an adapter whose config names no base; pass base=PATH"
            )
        base_folder = _find_base(base, settings.get("revision"), folder)
    if checkpoint_files.is_adapter(base_folder):
        raise ValueError(f"the base {base} of the adapter {checkpoint} is an adapter itself")
    checkpoint_files.check_model(base_folder)
    return Source(base_folder, base, folder, trust_remote_code)


def find_folder(checkpoint: str) -> Path:
    """Return a checkpoint's folder, with links resolved; one on the Hub is downloaded.

    Raises:
        ValueError: There is none.
    """
    if not checkpoint.startswith(HUB):
        return checkpoint_files.resolve(checkpoint)
    repository, _, revision = checkpoint.removeprefix(HUB).partition("@")
    return _download(repository, revision or None)


def _find_base(base: str, revision: object, adapter: Path) -> Path:
    """Return the folder of the base that an adapter's config names.

    It is a folder relative to the current one, a folder relative to the adapter's, or an id on the
    Hub, the first that exists.
    """
    if base.startswith(HUB):
        return find_folder(base)
    for path in (base, str(adapter / base)):
        if Path(path).is_dir():
            return checkpoint_files.resolve(path)
    cached = checkpoint_files.hub_name(Path(base))
    if cached:  # the cache of another machine, or one that was emptied
        return find_folder(HUB + cached)
    missing = f"no checkpoint folder {base}"
    if not Path(base).is_absolute():
        missing += f", neither in the current folder nor in the adapter's, {adapter}"
    if not _HUB_ID.fullmatch(base):
        raise ValueError(
            f"the adapter's base is missing: {missing}; pass base=PATH, or correct "
            f"base_model_name_or_path in {adapter / checkpoint_files.ADAPTER}"
        )
    try:
        return _download(base, revision if isinstance(revision, str) else None)
    except ValueError as error:
        raise ValueError(f"the adapter's base is missing: {error}; and {missing}") from error


class _Progress(tqdm):
    """A progress bar that is shown on a terminal only."""

    def __init__(self, *args: Any, **options: Any) -> None:
        options["disable"] = options.get("disable") or None  # tqdm's word for "unless a terminal"
        super().__init__(*args, **options)


def _download(repository: str, revision: str | None) -> Path:
    """Return the folder of a repository in the local cache, filled from the Hub if needed."""
    name = HUB + repository + (f"@{revision}" if revision else "")
    try:
        folder = snapshot_download(
            repository,
            revision=revision,
            allow_patterns=[f"*{s}" for s in (*checkpoint_files.SUFFIXES, checkpoint_files.CODE)],
            ignore_patterns=["*/*.safetensors", "consolidated*.safetensors"],
            tqdm_class=_Progress,
        )
    # The boundary to the Hub: no network, no such id, a wrong id, no access.
    except Exception as error:
        raise ValueError(f"{name} can't be downloaded: {_reason(error)}") from error
    return Path(folder)


def _reason(error: Exception) -> str:
    """Return why a download failed, in a few words where the kind is known."""
    endpoint = constants.ENDPOINT
    if isinstance(error, GatedRepoError):
        return f"access at {endpoint} must be asked for; then log in with `hf auth login`"
    if isinstance(error, RepositoryNotFoundError):
        return f"{endpoint} has no such repository, or it is private; log in with `hf auth login`"
    if isinstance(error, RevisionNotFoundError):
        return f"{endpoint} has no such revision of it"
    if isinstance(error, LocalEntryNotFoundError):
        place = f"it isn't whole in the cache {constants.HF_HUB_CACHE}"
        if constants.HF_HUB_OFFLINE:
            return f"HF_HUB_OFFLINE is set, and {place}"
        if isinstance(cause := error.__cause__, HfHubHTTPError):
            return f"{endpoint} answers with status {cause.response.status_code}, and {place}"
        return f"{endpoint} can't be reached, and {place}"
    return one_line(error)
