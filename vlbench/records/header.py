"""The header of a run: rows, agent, prompts and versions."""

import hashlib
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
from vlbench.prompts import own_prompt
from vlbench.records.run_spec import RunSpec
from vlbench.suites import (
    Bounds,
    Row,
)

MODEL_MARK = "sha256:"
"""Beginning of `Reply.provider_id` of a local model's replies; see `ModelInfo.mark`."""

Name = Annotated[str, PlainText(200)]
Versions = Annotated[dict[str, str], Size(100), Each(PlainText(100))]


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A local model as it was loaded; an empty field is unknown."""

    checkpoint: Annotated[str, Line(1000)] = ""
    """Folder of the checkpoint, with links resolved, or `hf:<id>@<revision>`."""
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
    base: Annotated[str, Line(1000)] = ""
    """Folder or `hf:<id>@<revision>` of the full model, if the checkpoint is an adapter."""

    def same_as(self, other: "ModelInfo") -> bool:
        """Return whether both are the same model in the same precision, wherever they are."""
        places = [(model.checkpoint, model.step) for model in (self, other)]
        is_same_place = bool(self.weights_hash) or places[0] == places[1]
        is_same_dtype = self.dtype == other.dtype or not (self.dtype and other.dtype)
        return self.weights_hash == other.weights_hash and is_same_place and is_same_dtype

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

    system_prompt: Annotated[str, Size(1 << 16)] = ""
    """Text of the system message; "" for none."""
    shots: Annotated[list[Row], Size(64)] = field(default_factory=list)
    """Rows that are shown as examples, with the expert's replies."""

    def __str__(self) -> str:
        """Return what tells it from others, in words."""
        digest = hashlib.sha256(self.system_prompt.encode()).hexdigest()[:12]
        system = f"a system prompt (sha256 {digest})" if self.system_prompt else ""
        shots = f"{len(self.shots)} examples" if self.shots else ""
        return " and ".join(filter(None, (system, shots))) or "none"


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
    bounds: dict[str, Bounds] = field(default_factory=dict)
    """env id → the floor and ceiling that this run computed for rows without shipped ones."""
    prompt_text: Annotated[str, Size(1 << 16)] = ""
    """Text of the user's own prompt, in the form of a prompt file; "" for the tasks' own."""
    not_replayable: Annotated[list[str], Size(1000), Each(PlainText(200))] = field(
        default_factory=list
    )
    """The environments that play the same seed and actions differently, so that replay can't check
    their episodes."""
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
        str,
        Pattern("([0-9a-f]{40}([0-9a-f]{24})?([+]dirty)?)?", "a commit of 40 hex digits"),
    ] = ""
    """Commit of the checkout that vlbench ran from, with "+dirty" after it if the checkout had
    uncommitted changes; "" outside a checkout."""
    dirty: bool | None = None
    """Whether that checkout had uncommitted changes; None if unknown."""
    started: Annotated[str, Line(40)] = ""
    """Start of the run in UTC, as "2026-01-31T12:00:00Z"."""

    def __post_init__(self) -> None:
        """Make the user's own prompt known, so that whoever reads a run can make its environments.

        Raises:
            ValueError: It is no prompt.
        """
        if self.prompt_text:
            own_prompt(self.prompt_text, self.prompt.partition(":")[0])

    def conflict(self, other: "RunHeader") -> str:
        """Return the differences that keep `other` from resuming this run; "" if none does.

        The number of episodes and repeats may change, and so may computed bounds and settings that
        don't change the model's answers. A model must have the same weights, dtype and picture
        size, as far as both headers know them. Versions don't matter: the header keeps those of the
        start of the run.
        """
        differences = []
        for item in fields(self):
            if item.name in _MAY_CHANGE:
                continue
            first, second = getattr(self, item.name), getattr(other, item.name)
            differences += _differences(item.name, first, second)
        ignored = {f"settings {name}" for name in _SETTINGS_OF_A_PLACE + _SETTINGS_OF_A_MACHINE}
        differences = [difference for difference in differences if difference.name not in ignored]
        differences += self._model_differences(other, _SAME_IN_A_RUN)
        return "; ".join(filter(None, [*map(str, differences), self.model_conflict(other)]))

    def model_conflict(self, other: "RunHeader") -> str:
        """Return the first local model that differs between two runs; "" if none does."""
        for key in dict.fromkeys((*self.models, *other.models)):
            model, other_model = self.models.get(key), other.models.get(key)
            if model is None or other_model is None or not model.same_as(other_model):
                player = f"the model of {key}" if key else "the model"
                return f"{player} is {model or 'unknown'} there, {other_model or 'unknown'} here"
        return ""

    def notices(self, other: "RunHeader") -> list[str]:
        """Return a line for each difference that a user who resumes this run should know of.

        They concern where the model is served, and the machine that runs it.
        """
        places = [
            _differences(f"settings {name}", self.settings.get(name), other.settings.get(name))
            for name in _SETTINGS_OF_A_PLACE
        ]
        differences = [difference for place in places for difference in place]
        differences += self._model_differences(other, _MACHINE)
        return [
            f"{item.name} was {_in_words(item.there)} when the run began, and is "
            f"{_in_words(item.here)} now"
            for item in differences
        ]

    def _model_differences(self, other: "RunHeader", names: tuple[str, ...]) -> list["_Difference"]:
        """Compare what both headers know of their models."""
        return [
            difference
            for env_id, first in self.models.items()
            if (second := other.models.get(env_id))
            for name in names
            if getattr(first, name) and getattr(second, name)
            for difference in _differences(
                " ".join(filter(None, ("model", env_id, name))),
                getattr(first, name),
                getattr(second, name),
            )
        ]


_MAY_CHANGE = {
    *("episodes", "repeats", "bounds", "dropped", "price", "models"),
    *("versions", "commit", "dirty", "started", "not_replayable"),
}
"""Fields of a header that may differ when a run is resumed."""

_SETTINGS_OF_A_PLACE = ("base_url", "headers")
"""Settings that say where the same model is served."""

_SETTINGS_OF_A_MACHINE = ("batch_size", "note")
"""Settings that depend on memory, or repeat others in words."""

_SAME_IN_A_RUN = ("picture_size",)
"""Properties of a local model, besides its weights and dtype, that change its answers."""

_MACHINE = ("device", "versions")
"""Properties of a local model that hardly ever change its answers."""


@dataclass(frozen=True, slots=True)
class _Difference:
    """A value that two headers have differently."""

    name: str
    there: Any
    """In the existing run."""
    here: Any

    def __str__(self) -> str:
        """Return it in words, with both values whole."""
        return f"{self.name} is {_in_words(self.there)} there, {_in_words(self.here)} here"


def _in_words(value: Any) -> str:
    if isinstance(value, Preamble):
        return str(value)
    return repr(value) if _is_set(value) else "not set"


def _is_set(value: Any) -> bool:
    """Return whether a setting has a value; 0 is one."""
    return not (value is None or value is False or value in ("", (), [], {}))


def _differences(name: str, first: Any, second: Any) -> list[_Difference]:
    """Return the differences of two values; those of dicts one by one.

    A value that isn't set equals one that is missing.
    """
    if isinstance(first, dict) and isinstance(second, dict):
        return [
            difference
            for key in dict.fromkeys([*first, *second])
            for difference in _differences(f"{name} {key}", first.get(key), second.get(key))
        ]
    if first == second or not (_is_set(first) or _is_set(second)):
        return []
    return [_Difference(name, first, second)]
