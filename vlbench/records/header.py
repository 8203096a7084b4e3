"""The header of a run: rows, agent, prompts and versions."""

from dataclasses import dataclass, field, fields
from typing import Annotated, Any

from vlbench.limits import (
    OPTIONAL_SHA256,
    Each,
    Line,
    Pattern,
    PlainText,
    Range,
    Size,
)
from vlbench.suites import Row, RunSpec

Name = Annotated[str, PlainText(200)]
Versions = Annotated[dict[str, str], Size(100), Each(PlainText(100))]


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A local model as it was loaded; an empty field is unknown."""

    checkpoint: Annotated[str, Line(1000)] = ""
    """Folder or hub id of the checkpoint, with links resolved."""
    step: Annotated[int | None, Range(0, 10**12)] = None
    """Training step of the checkpoint."""
    weights_hash: Annotated[str, OPTIONAL_SHA256] = ""
    """sha256 of weights, adapter, processor and chat template."""
    dtype: Annotated[str, PlainText(40)] = ""
    """dtype of the weights, e.g. "bfloat16"."""
    device: Annotated[str, PlainText(40)] = ""
    """Device of the model, e.g. "cuda"."""
    picture_size: Annotated[str, Pattern("([1-9][0-9]{0,5}x[1-9][0-9]{0,5})?", "336x336")] = ""
    """Height×width to which its processor resizes a 300×300 picture, e.g. "336x336"."""
    versions: Versions = field(default_factory=dict)
    """Package → version, for torch, transformers and the other packages that the model needs."""


@dataclass(frozen=True, slots=True)
class Preamble:
    """The beginning of every conversation, before the first prompt."""

    system_prompt: Annotated[str, Size(1 << 16)] = ""
    """Text of the system message; "" for none."""
    shots: Annotated[list[Row], Size(64)] = field(default_factory=list)
    """Rows that are shown as examples, with the expert's replies."""


@dataclass(frozen=True, slots=True)
class Shard:
    """One part of a run that is split among several machines."""

    index: Annotated[int, Range(0, 10**6)]
    """Number of the part, from 0."""
    count: Annotated[int, Range(1, 10**6)]
    """Number of parts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHeader(RunSpec):
    """What was run: rows, agent, prompts and versions."""

    agent: Annotated[str, Size(800, 1), PlainText(200)]
    """The agent's name in tables."""
    settings: Annotated[dict[str, Any], Size(1000), Each(Size(1 << 16))]
    """The agent's settings, without API keys."""
    privileged: bool
    """Whether the agent has access to the environment."""
    env_ids: Annotated[list[str], Size(1000), Each(PlainText(200))]
    """The environments, in the order of the tables."""
    prompt_hashes: dict[str, str]
    """env id → sha256 of the template."""
    frozen_hashes: dict[str, str]
    """env id → sha256 of the frozen set."""
    parser: Name
    """Version of the parser's rules."""
    schema: int
    """Version of the records."""
    env_kwargs: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments that the user set for all environments."""
    preamble: Preamble = field(default_factory=Preamble)
    """The beginning of every conversation."""
    models: dict[str, ModelInfo] = field(default_factory=dict)
    """env id → the local model that played it; the key "" if one model played all."""
    shard: Shard | None = None
    """Which part of a run this is; None for a whole run."""
    dropped: Annotated[list[str], Size(100), Each(PlainText(100))] = field(default_factory=list)
    """Parameters that were omitted because a provider refused them."""
    price: Annotated[list[float] | None, Size(2, 2), Each(Range(0, 1e6))] = None
    """USD per million prompt and completion tokens; None if unknown."""
    versions: Versions = field(default_factory=dict)
    """Package → version."""
    commit: Annotated[
        str, Pattern("([0-9a-f]{40}([0-9a-f]{24})?)?", "a commit of 40 hex digits")
    ] = ""
    """Commit of the checkout that vlbench ran from; "" outside a checkout."""
    dirty: bool | None = None
    """Whether that checkout had uncommitted changes; None if unknown."""
    started: Annotated[str, Line(40)] = ""
    """Start of the run in UTC, as "2026-01-31T12:00:00Z"."""

    def conflict(self, other: "RunHeader") -> str:
        """Return the first difference that keeps `other` from resuming this run; "" if none does.

        The number of episodes and repeats may change. Versions don't matter: the header keeps those
        of the start of the run.
        """
        for item in fields(self):
            first, second = getattr(self, item.name), getattr(other, item.name)
            if item.name not in _MAY_CHANGE and first != second:
                return f"{item.name} is {first!r:.100} there, {second!r:.100} here"
        return ""


_MAY_CHANGE = {
    *("episodes", "repeats", "dropped", "price", "models"),
    *("versions", "commit", "dirty", "started"),
}
"""Fields of a header that may differ when a run is resumed."""
