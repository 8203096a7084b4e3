"""The header of a run: rows, agent, prompts and versions."""

from dataclasses import dataclass, field, fields
from typing import Any

from vlbench.suites import Bounds, Row, RunSpec

MODEL_MARK = "sha256:"
"""Beginning of `Reply.provider_id` of a local model's replies; see `ModelInfo.mark`."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A local model as it was loaded; an empty field is unknown."""

    checkpoint: str = ""
    """Folder of the checkpoint, with links resolved, or `hf:<id>@<revision>`."""
    step: int | None = None
    """Training step of the checkpoint."""
    weights_hash: str = ""
    """sha256 of weights, adapter, processor and chat template."""
    dtype: str = ""
    """dtype of the weights, e.g. "bfloat16"."""
    device: str = ""
    """Device of the model, e.g. "cuda"."""
    picture_size: str = ""
    """Height×width to which its processor resizes a 300×300 picture, e.g. "336x336"."""
    versions: dict[str, str] = field(default_factory=dict)
    """Package → version, for torch, transformers and the other packages that the model needs."""
    base: str = ""
    """Folder or `hf:<id>@<revision>` of the full model, if the checkpoint is an adapter."""

    def same_as(self, other: "ModelInfo") -> bool:
        """Return whether both are the same model in the same precision, wherever they are."""
        places = [(model.checkpoint, model.step) for model in (self, other)]
        return (self.weights_hash, self.dtype) == (other.weights_hash, other.dtype) and (
            bool(self.weights_hash) or places[0] == places[1]
        )

    @property
    def mark(self) -> str:
        """`Reply.provider_id` of the model's replies; "" if its weights are unknown."""
        return f"{MODEL_MARK}{self.weights_hash[:16]}" if self.weights_hash else ""

    def __str__(self) -> str:
        """Return one line that tells the model from others."""
        weights = f"sha256 {self.weights_hash[:12]}" if self.weights_hash else "unknown weights"
        return f"{self.checkpoint or 'a model'} ({', '.join(filter(None, (weights, self.dtype)))})"


@dataclass(frozen=True, slots=True)
class Preamble:
    """The beginning of every conversation, before the first prompt."""

    system_prompt: str = ""
    """Text of the system message; "" for none."""
    shots: list[Row] = field(default_factory=list)
    """Rows that are shown as examples, with the expert's replies."""


@dataclass(frozen=True, slots=True)
class Shard:
    """One part of a run that is split among several machines."""

    index: int
    """Number of the part, from 0."""
    count: int
    """Number of parts."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """The source of rows that are derived from an entry after its submission."""

    digest: str
    """Digest of the entry."""
    nonce: str
    """Nonce, published after the submission."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHeader(RunSpec):
    """What was run: rows, agent, prompts and versions."""

    agent: str
    """The agent's name in tables."""
    settings: dict[str, Any]
    """The agent's settings, without API keys."""
    privileged: bool
    """Whether the agent has access to the environment."""
    env_ids: list[str]
    """The environments, in the order of the tables."""
    prompt_hashes: dict[str, str]
    """env id → sha256 of the template."""
    frozen_hashes: dict[str, str]
    """env id → sha256 of the frozen set."""
    parser: str
    """Version of the parser's rules."""
    schema: int
    """Version of the records."""
    bounds: dict[str, Bounds] = field(default_factory=dict)
    """env id → the floor and ceiling that this run computed for rows without shipped ones."""
    preamble: Preamble = field(default_factory=Preamble)
    """The beginning of every conversation."""
    models: dict[str, ModelInfo] = field(default_factory=dict)
    """env id → the local model that played it; the key "" if one model played all."""
    shard: Shard | None = None
    """Which part of a run this is; None for a whole run."""
    challenge: Challenge | None = None
    """The source of the rows; None for frozen rows and seeds."""
    dropped: list[str] = field(default_factory=list)
    """Parameters that were omitted because a provider refused them."""
    price: list[float] | None = None
    """USD per million prompt and completion tokens; None if unknown."""
    versions: dict[str, str] = field(default_factory=dict)
    """Package → version."""
    commit: str = ""
    """Commit of the checkout that vlbench ran from, with "+dirty" after it if the checkout had
    uncommitted changes; "" outside a checkout."""
    dirty: bool | None = None
    """Whether that checkout had uncommitted changes; None if unknown."""
    started: str = ""
    """Start of the run in UTC, as "2026-01-31T12:00:00Z"."""

    def conflict(self, other: "RunHeader") -> str:
        """Return the first difference that keeps `other` from resuming this run; "" if none does.

        The number of episodes and repeats may change, and so may computed bounds. Versions don't
        matter: the header keeps those of the start of the run.
        """
        if conflict := self.model_conflict(other):
            return conflict
        for item in fields(self):
            first, second = getattr(self, item.name), getattr(other, item.name)
            if item.name not in _MAY_CHANGE and first != second:
                return _difference(item.name, first, second)
        return ""

    def model_conflict(self, other: "RunHeader") -> str:
        """Return the first local model that differs between two runs; "" if none does."""
        for key in dict.fromkeys((*self.models, *other.models)):
            model, other_model = self.models.get(key), other.models.get(key)
            if model is None or other_model is None or not model.same_as(other_model):
                player = f"the model of {key}" if key else "the model"
                return f"{player} is {model or 'unknown'} there, {other_model or 'unknown'} here"
        return ""


def _difference(name: str, first: Any, second: Any) -> str:
    if isinstance(first, dict) and isinstance(second, dict):
        keys = dict.fromkeys((*first, *second))
        key = next(key for key in keys if first.get(key) != second.get(key))
        name, first, second = f"{name}.{key}", first.get(key), second.get(key)
    return f"{name} is {first!r:.100} there, {second!r:.100} here"


_MAY_CHANGE = {
    *("episodes", "repeats", "bounds", "dropped", "price", "models"),
    *("versions", "commit", "dirty", "started"),
}
"""Fields of a header that may differ when a run is resumed; models are compared apart."""
