"""The schema of an entry, shared by packing, verifying and the site.

`python -m leaderboard.schema` prints its JSON Schema, which is published beside this file as
`entry.schema.json`; the lines of an entry's parts are `vlbench.records.Episode` records and
have their schema in it too. Fields that aren't in the schema are refused, and a field that holds
its default is left out. An entry holds no number that can be computed from its episodes.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from vlbench.limits import CLOCK_ERROR, Line, hidden_character
from vlbench.records import (
    MAX_ERROR,
    Episode,
    Failure,
    ModelInfo,
    Reply,
    RunHeader,
    Turn,
    from_json,
    limits_of,
    to_json,
)

MANIFEST = "manifest.json"

Track = Literal["zero-shot", "sft", "rl", "pipeline", "specialist", "reference", "human"]
"""How the player came to play. `zero-shot`: a general model that wasn't trained on these tasks;
`sft`, `rl`: one that was, by imitation or by reward; `pipeline`: a program that decides by the
rules of these tasks, with general models, trained on none of them, as its eyes; `specialist`: a
model made for these tasks alone; `reference`: a player that is handed the environment, and no
model; `human`: a person, who played with `vlbench.play --fair`."""

PERSON = "human"
"""Name of the agent in a person's run, and the track of its entry."""

Chosen = Literal["", "val", "last", "peak"]
"""How the checkpoint of a trained model was chosen: on the split `val`; the last one; or at a peak
of what training showed, or of rows that the entry plays. Only `val` ranks; a peak is luck.
"" where nothing was trained, or where it isn't said."""

Weights = Literal["open", "closed", "none"]
"""Whether anyone can have the weights; "none" where there are none."""


TRAINED: tuple[Track, ...] = ("sft", "rl", "specialist")
"""Tracks of models that were trained on the tasks."""


def _plain(text: str) -> str:
    """Refuse control, direction and invisible characters, and spaces at the ends."""
    if (character := hidden_character(text)) or text != text.strip():
        which = f" without U+{ord(character):04X}" if character else ", none a space at an end"
        raise ValueError(f"wanted printable characters on one line{which}")
    return text


def _notes(text: str) -> str:
    """Refuse what `_plain` refuses, but allow line breaks."""
    if character := hidden_character(text.replace("\n", "")):
        raise ValueError(f"wanted printable characters without U+{ord(character):04X}")
    return text


def _iso_date(text: str) -> str:
    """Refuse anything but "" and a past date as YYYY-MM-DD."""
    day = None
    with suppress(ValueError):
        day = date.fromisoformat(text) if text else None
    if text and str(day) != text:
        raise ValueError("wanted a date as YYYY-MM-DD")
    if day and day > (datetime.now(UTC) + CLOCK_ERROR).date():
        raise ValueError("wanted a date that isn't in the future")
    return text


def _error(text: str) -> str:
    Line(MAX_ERROR).check(text)
    return text


def _header(header: RunHeader) -> RunHeader:
    """Check a header against the limits of its record."""
    return from_json(RunHeader, to_json(header))


SUITE = r"[a-z0-9-]{1,40}"
"""Pattern of a suite's name."""
ENTRY_PICTURES = ("true", "blank")
"""What the pictures of an entry's runs may show. A run with blank ones gives the visual gain."""
MAX_SUITES = 40
"""Most suites of an entry."""
SuiteName = Annotated[str, StringConstraints(pattern=rf"^{SUITE}$")]
Text = Annotated[str, StringConstraints(max_length=120), AfterValidator(_plain)]
ErrorLine = Annotated[str, AfterValidator(_error)]
Key = Annotated[str, StringConstraints(max_length=300), AfterValidator(_plain)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Money = Annotated[float, Field(ge=0, le=1e9), AfterValidator(lambda value: value + 0.0)]  # no -0.0


class Record(BaseModel):
    """Base of a manifest's records: frozen, strictly typed, no unknown fields."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class Card(Record):
    """The agent card: what the submitter declares. Nothing in it is checked by replay."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=120), AfterValidator(_plain)]
    """Shown in tables."""
    model: Text
    """The exact model, dated where the provider dates it; "" for a player that is no model."""
    weights: Weights
    track: Track
    chosen: Chosen = ""
    """How the checkpoint was chosen, of a model that was trained on the tasks."""
    start: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")] = ""
    """Digest of the entry of the model from which training started; "" for none."""
    url: Annotated[str, StringConstraints(max_length=200, pattern=r"^(https://[!-~]+)?$")] = ""
    """Paper, checkpoint or code; "" for none."""
    notes: Annotated[str, StringConstraints(max_length=2000), AfterValidator(_notes)] = ""
    """Notes for readers: training data, tricks, known problems."""
    usd: Money | None = None
    """Money that the run cost in all, where the provider's records don't say it."""
    hardware: Text = ""
    """What the model ran on, where that is known."""
    organisation: Text = ""
    """Who submits it; "" for nobody in particular."""
    date: Annotated[str, StringConstraints(max_length=10), AfterValidator(_iso_date)] = ""
    """Date of the submission, as YYYY-MM-DD; "" where it isn't stated."""

    @property
    def ranks(self) -> bool:
        """Whether the entry has a place among others: a trained model needs a choice on `val`."""
        return self.track not in TRAINED or self.weights == "none" or self.chosen == "val"


class Part(Record):
    """A file of episodes, one JSON line each, in the order of the frozen sets."""

    name: Annotated[str, StringConstraints(pattern=rf"^{SUITE}\.jsonl$")]
    """The suite's name and ".jsonl"."""
    sha256: Sha256
    size: Annotated[int, Field(ge=0)]
    """Bytes."""
    episodes: Annotated[int, Field(ge=0)]


class Errored(Record):
    """An episode that the agent or its provider failed; it counts as failed."""

    episode: Key
    error: ErrorLine


class Retried(Record):
    """An episode some of whose replies were asked for more than once."""

    episode: Key
    retries: Annotated[int, Field(ge=1)]


class Replayed(Record):
    """An episode that was played more than once; the last attempt counts."""

    episode: Key
    attempts: Annotated[int, Field(ge=2, le=1000)]
    errors: tuple[ErrorLine, ...]
    """What failed in the attempts before, in order; "" for one that didn't fail."""


class Irregularities(Record):
    """Rows of a run without exactly one plain attempt."""

    dropped: tuple[str, ...]
    """Episodes that weren't played to an end; an entry with any is refused."""
    errored: tuple[Errored, ...]
    retried: tuple[Retried, ...]
    replayed: tuple[Replayed, ...]
    """Known from the run's folder alone, so declared."""
    damaged_lines: Annotated[int, Field(ge=0, le=1_000_000)]
    """Lines of the run's episodes that couldn't be read; declared too."""
    late: tuple[Key, ...] = ()
    """Episodes whose first reply came when rows far behind them were over, although no earlier
    attempt is recorded; declared too."""


class Suite(Record):
    """One run on one suite."""

    run: Annotated[RunHeader, AfterValidator(_header)]
    part: Part
    irregularities: Irregularities


class Manifest(Record):
    """The first file of an entry."""

    format: Literal[2]
    """Version of the entry's format."""
    card: Card
    suites: Annotated[tuple[Suite, ...], Field(min_length=1, max_length=MAX_SUITES)]
    digest: Sha256
    """sha256 of this manifest with an empty digest; it names the entry."""

    def sealed(self) -> "Manifest":
        """Return the manifest with its digest."""
        return self.model_copy(update={"digest": digest_of(self._plain())})

    def to_bytes(self) -> bytes:
        """Return the manifest as it is written in an entry."""
        return json.dumps(self._plain(), indent=1, sort_keys=True, allow_nan=False).encode() + b"\n"

    def _plain(self) -> dict[str, Any]:
        """Return plain data without the fields that hold their defaults, as records are written."""
        return self.model_dump(mode="json", exclude_defaults=True)


def digest_of(manifest: Mapping[str, Any]) -> str:
    """Return the digest that seals a manifest, given as plain data."""
    return hashlib.sha256(canonical({**manifest, "digest": ""})).hexdigest()


def canonical(data: Any) -> bytes:
    """Return data as the one JSON line that an entry writes it as, without the line's end.

    Raises:
        ValueError: A number isn't finite, or a text holds a lone surrogate.
    """
    text = json.dumps(
        data, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
    )
    return text.encode()


MAX_ERRORED = 0.02
"""Largest share of errored episodes in a suite of an entry."""


def too_many_errored(episodes: int, errored: int) -> bool:
    """Return whether an entry is refused for a suite's errored episodes."""
    return errored > MAX_ERRORED * episodes


class Attempt(NamedTuple):
    """How an episode was played, as `list_irregularities` reads it."""

    key: str
    retries: int
    """Repeated requests in all its turns."""
    starts_with_retry: bool
    """Whether its first reply took a repeated request, so that the journal shows it late."""
    is_errored: bool
    error: str
    """What failed; "" if nothing did."""

    @classmethod
    def of(cls, episode: Episode) -> "Attempt":
        """Return an episode's."""
        retries = sum(turn.reply.retries for turn in episode.turns)
        first = bool(episode.turns and episode.turns[0].reply.retries)
        return cls(episode.key, retries, first, episode.is_errored, episode.error)


def list_irregularities(
    expected: Sequence[str],
    attempts: Sequence[Attempt],
    replayed: Sequence[Replayed] = (),
    damaged_lines: int = 0,
    late: Sequence[str] = (),
) -> Irregularities:
    """List the rows without exactly one plain attempt.

    Args:
        expected: Keys of the episodes that the frozen sets ask for.
        attempts: Those that were played.
        replayed: Episodes that were played more than once.
        damaged_lines: Lines that couldn't be read.
        late: Episodes that were begun out of order.
    """
    played = {attempt.key for attempt in attempts}
    return Irregularities(
        dropped=tuple(key for key in expected if key not in played),
        errored=tuple(Errored(episode=a.key, error=a.error) for a in attempts if a.is_errored),
        retried=tuple(Retried(episode=a.key, retries=a.retries) for a in attempts if a.retries > 0),
        replayed=tuple(replayed),
        damaged_lines=damaged_lines,
        late=tuple(late),
    )


class _WithoutTitles(GenerateJsonSchema):
    """Leaves out the titles of fields, which say again what their names say."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def json_schema() -> dict[str, Any]:
    """Return the published schema: the manifest's, and an episode line's under `$defs`."""
    schema = Manifest.model_json_schema(schema_generator=_WithoutTitles)
    line = TypeAdapter(Episode).json_schema(schema_generator=_WithoutTitles)
    definitions = {**schema.pop("$defs"), **line.pop("$defs"), "Episode": line}
    for name in ("Episode", "Turn", "Reply", "Failure"):
        definitions[name]["additionalProperties"] = False
    for record in (RunHeader, ModelInfo, Episode, Turn, Reply, Failure):
        fields = definitions[record.__name__]["properties"]
        for name, limits in limits_of(record).items():
            kinds = fields[name].get("anyOf", [fields[name]])  # the second is null
            for limit in limits:
                kinds[0].update(limit.json_schema())
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "$defs": dict(sorted(definitions.items())),
    }


if __name__ == "__main__":
    print(json.dumps(json_schema(), indent=2, sort_keys=True))
