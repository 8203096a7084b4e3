"""Reports of `agents.rerun`: what the published weights answer to an entry's turns.

`agents.rerun` draws turns by the entry's digest, shows them to the model again and writes a report.
A report is only as good as whoever made it; the maintainers make those of the site.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError

from leaderboard.archive import Refused
from leaderboard.entry import first_error, loads
from leaderboard.schema import Key, Manifest, Record, Sha256, SuiteName
from vlbench.display import formatting
from vlbench.intervals import mean
from vlbench.records import Episode, ModelInfo, from_json, to_json
from vlbench.replay import draw_turns

MIN_TURNS = 30
"""Fewer turns reproduce nothing."""

MIN_SAME_TEXTS = 0.9
"""Share of the same texts that greedy decoding must reach; other hardware rounds differently."""

MAX_LOSS = 0.1
"""Under sampling, how much less often than the second answer the entry may agree with the first, as
a share of turns, at the upper end of the 95 % interval."""

MAX_REPORT = 64 << 20
"""Largest report, in bytes."""


class Answer(Record):
    """What the model answered when it was asked again."""

    reply_hash: Sha256
    action: Annotated[str, Field(max_length=2000)]


class AskedTurn(Record):
    """A turn that was drawn and asked again."""

    suite: SuiteName
    episode: Key
    turn: Annotated[int, Field(ge=0)]
    reply_hash: Sha256
    """Of the text in the entry."""
    action: Annotated[str, Field(max_length=2000)]
    """The action in the entry."""
    answers: Annotated[tuple[Answer, ...], Field(min_length=1, max_length=2)]
    """One, or two under sampling: their agreement is what can be expected."""


def _model(model: ModelInfo) -> ModelInfo:
    return from_json(ModelInfo, to_json(model))


class Report(Record):
    """A report of `agents.rerun`."""

    format: Literal[1]
    digest: Sha256
    """Of the entry."""
    seed: Annotated[int, Field(ge=0)]
    """Of the draw."""
    agent: Key
    """Name of the agent that was asked."""
    settings: dict[str, Any]
    models: dict[str, Annotated[ModelInfo, AfterValidator(_model)]]
    """env id ("" for all) → the model that was asked, with the hash of its weights."""
    greedy: bool
    """Whether it decodes greedily, so that the texts should be the same."""
    turns: tuple[AskedTurn, ...]


@dataclass(frozen=True, slots=True)
class Reproduction:
    """How well an entry's turns are those of the published weights."""

    turns: int
    same_texts: float
    """Share of turns with the same text."""
    same_actions: float
    """Share of turns with the same action."""
    expected: float
    """Share that can be expected: of texts if greedy, else of actions."""
    as_expected: bool
    weights: tuple[str, ...]
    """sha256 of the weights that were asked, as far as known."""

    def __str__(self) -> str:
        """Return one line."""
        texts, actions, expected = (
            formatting.percent(share)
            for share in (self.same_texts, self.same_actions, self.expected)
        )
        verdict = "as expected" if self.as_expected else "not as expected: no mark"
        return (
            f"rerun of {self.turns} turns: {texts} same texts, {actions} same actions "
            f"(expected {expected}): {verdict}"
        )


def read_report(path: Path) -> Report:
    """Read a report.

    Raises:
        Refused: It isn't one.
    """
    try:
        if path.stat().st_size > MAX_REPORT:
            raise Refused(path.name, "", f"wanted at most {MAX_REPORT} bytes")
        plain = loads(path.read_bytes())
        return Report.model_validate(plain, strict=False)
    except ValidationError as error:
        raise Refused(path.name, "", first_error(error)) from error
    except (OSError, ValueError) as error:
        raise error if isinstance(error, Refused) else Refused(path.name, "", str(error)) from error


def check_report(
    report: Report, manifest: Manifest, episodes: Mapping[str, Sequence[Episode]]
) -> Reproduction:
    """Compare a report with its entry.

    Raises:
        ValueError: Its turns aren't those that the digest draws, don't say what the entry says, or
            other weights were asked.
    """
    drawn = draw_turns(episodes, manifest.digest, report.seed, len(report.turns))
    if len(drawn) < len(report.turns):
        raise ValueError(f"wanted at most {len(drawn)} turns, found {len(report.turns)}")
    for place, asked in zip(drawn, report.turns, strict=True):
        turn = place.turn
        expected = place.suite, place.episode.key, place.number, turn.reply_hash, turn.action
        if expected != (asked.suite, asked.episode, asked.turn, asked.reply_hash, asked.action):
            raise ValueError(
                f"wanted the turn {place.suite} {place.episode.key} turn {place.number} as the "
                f"entry has it, found {asked.suite} {asked.episode} turn {asked.turn}"
            )
        if len(asked.answers) != (1 if report.greedy else 2):
            raise ValueError(f"{asked.episode}: wanted an answer if greedy, else two")
    _check_weights(report, manifest)
    return _judge(report)


def _check_weights(report: Report, manifest: Manifest) -> None:
    for suite in manifest.suites:
        for env_id, model in suite.run.models.items():
            asked = report.models.get(env_id, ModelInfo()).weights_hash
            if model.weights_hash and asked and model.weights_hash != asked:
                raise ValueError(
                    f"wanted the entry's weights {model.weights_hash[:12]}…, found {asked[:12]}…"
                )


def _judge(report: Report) -> Reproduction:
    turns = report.turns
    same_texts = _share([turn.reply_hash == turn.answers[0].reply_hash for turn in turns])
    same_actions = [turn.action == turn.answers[0].action for turn in turns]
    if report.greedy:
        expected = 1.0
        as_expected = same_texts >= MIN_SAME_TEXTS
    else:
        repeated = [turn.answers[0].action == turn.answers[1].action for turn in turns]
        expected = _share(repeated)
        gains = [float(same) - again for same, again in zip(same_actions, repeated, strict=True)]
        clusters = [turn.episode for turn in turns]
        as_expected = bool(turns) and mean(gains, clusters, span=1.0).high >= -MAX_LOSS
    hashes = {model.weights_hash for model in report.models.values() if model.weights_hash}
    return Reproduction(
        len(turns),
        same_texts,
        _share(same_actions),
        expected,
        as_expected and len(turns) >= MIN_TURNS,
        tuple(sorted(hashes)),
    )


def _share(flags: Sequence[bool]) -> float:
    return sum(flags) / len(flags) if flags else 0.0
