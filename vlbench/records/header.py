"""The record of a run: what was played, by what, with which words and versions."""

from dataclasses import dataclass, field, fields
from typing import Any

from vlbench.suites import Row, RunSpec


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A local model as it was loaded; what is empty isn't known."""

    checkpoint: str = ""
    """Folder or hub id that was loaded, links resolved."""
    step: int | None = None
    """Training step of the checkpoint."""
    weights_hash: str = ""
    """sha256 over weights, adapter, processor and chat template."""
    dtype: str = ""
    """Of the weights, e.g. "bfloat16"."""
    device: str = ""
    """What it ran on, e.g. "cuda"."""
    picture_size: str = ""
    """What its processor makes of a picture of 300×300, as height×width, e.g. "336x336"."""
    versions: dict[str, str] = field(default_factory=dict)
    """Package → version of torch, transformers and what else the model runs on."""


@dataclass(frozen=True, slots=True)
class Preamble:
    """What every conversation begins with, before the first prompt."""

    system_prompt: str = ""
    """Text of the system message; "" for none."""
    shots: list[Row] = field(default_factory=list)
    """Rows that are shown with the expert's replies, as examples."""


@dataclass(frozen=True, slots=True)
class Shard:
    """One part of a run that several machines share."""

    index: int
    """From 0."""
    count: int
    """How many parts there are."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """Rows that are derived from an entry once it has been submitted."""

    digest: str
    """The entry's."""
    nonce: str
    """Published after the submission."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHeader(RunSpec):
    """What was run, by what, with which words and versions."""

    agent: str
    """The name that tables show."""
    settings: dict[str, Any]
    """The agent's settings; never a key."""
    privileged: bool
    """Whether the agent is handed the environment."""
    env_ids: list[str]
    """What was played, in the order of the tables."""
    prompt_hashes: dict[str, str]
    """env id → sha256 of the template."""
    frozen_hashes: dict[str, str]
    """env id → sha256 of the frozen set."""
    parser: str
    """Version of the rules by which actions were read."""
    schema: int
    """Version of the records."""
    env_kwargs: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments that the user gave all environments."""
    preamble: Preamble = field(default_factory=Preamble)
    """What every conversation began with."""
    models: dict[str, ModelInfo] = field(default_factory=dict)
    """env id → the local model that played it; "" for one that played all."""
    shard: Shard | None = None
    """Which part of a run this is; None for all of it."""
    challenge: Challenge | None = None
    """What the rows were derived from; None for frozen rows and seeds."""
    dropped: list[str] = field(default_factory=list)
    """Parameters that a provider refused and that were left out."""
    price: list[float] | None = None
    """USD per million prompt and completion tokens; None where it isn't known."""
    versions: dict[str, str] = field(default_factory=dict)
    """Package → version."""
    commit: str = ""
    """Of the checkout that vlbench was run from; "" outside one."""
    dirty: bool | None = None
    """Whether files differed from that commit; None where it isn't known."""
    started: str = ""
    """UTC, as "2026-01-31T12:00:00Z"."""

    def conflict(self, other: "RunHeader") -> str:
        """Name the first field that keeps `other` from going on with this run; "" if none does.

        More episodes or repeats of the same rows may be played. Versions don't count: the header
        keeps those with which the run was started.
        """
        for item in fields(self):
            ours, theirs = getattr(self, item.name), getattr(other, item.name)
            if item.name not in _MAY_CHANGE and ours != theirs:
                return f"{item.name} is {ours!r:.100} there, {theirs!r:.100} here"
        return ""


_MAY_CHANGE = {
    *("episodes", "repeats", "dropped", "price", "models"),
    *("versions", "commit", "dirty", "started"),
}
"""Fields of a header that may differ when a run goes on."""
