"""Turns whose action is asked again after changed thoughts, and what that does to the action."""

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vlbench.diagnose.replayed import moments
from vlbench.diagnose.rollouts import RolloutTurn, read_rollouts
from vlbench.instances import hashed
from vlbench.intervals import Interval, mean, rate
from vlbench.recorder import EpisodeRecorder

WAYS = ("swapped", "corrupted", "removed")
"""The ways in which thoughts are changed."""

LONGEST = 8000
"""Longest reply, in characters; turns with a longer one are left out."""

EMPTY = " \n\t`{json"
"""Characters that are no thoughts, before an action."""

NUMBER = re.compile(r"\d{1,9}")
FIELD = re.compile(r"[^:]*:\s*")
"""The action's field up to its value."""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Question:
    """A turn whose action can be asked again."""

    episode: str
    observation: dict[str, Any]
    thoughts: str
    """The reply before its action, from its first character."""
    key: str
    """What stands between the thoughts and the value of the action."""
    tail: str
    """What stands after that value."""
    action: str
    candidates: tuple[str, ...]
    """The actions that a reply may name in this state."""

    def replies(self, thoughts: str) -> list[str]:
        """Return a reply with these thoughts for each candidate."""
        return [f"{thoughts}{self.key}{json.dumps(a)}{self.tail}" for a in self.candidates]


@dataclass(frozen=True, slots=True)
class Effect:
    """What changed thoughts do to the action."""

    turns: int
    """Turns that were asked again."""
    changed: Interval
    """Share of turns in which the model now prefers another action, with its 95 % interval."""
    followed: Interval | None
    """Share of turns in which it now prefers the action of the turn that the thoughts are from;
    None for other ways."""
    distance: Interval
    """Mean total variation distance of the distributions over actions, 0..1."""


@dataclass(frozen=True, slots=True)
class TaskEffects:
    """The effects in one task."""

    env: str
    """The environment's id."""
    turns: int
    """Turns that were asked again with their own thoughts."""
    agreement: float
    """Share of these in which the model prefers the recorded action; low if another model wrote
    the rollouts."""
    effects: dict[str, Effect]
    """Way → effect."""


Score = Callable[[Question, Sequence[str]], Sequence[float]]
"""Returns the log-probability of each of several replies to a question's observation."""


def read_questions(path: Path, limit: int) -> dict[str, list[Question]]:
    """Return env id → a sample of turns with a readable action, evenly spread over the input.

    Args:
        path: A run folder, the folder of a training run, or a file of turns.
        limit: Most turns of a task.

    Raises:
        ValueError: The rollouts can't be read or played.
    """
    episodes = read_rollouts(path).episodes
    turns = Counter(turn.env_id for episode in episodes for turn in episode.turns)
    seen = Counter[str]()
    questions: dict[str, list[Question]] = {}
    for recorder, record in moments(episodes):
        env_id = record.env_id
        seen[env_id] += 1
        is_sampled = (
            seen[env_id] * limit // turns[env_id] > (seen[env_id] - 1) * limit // turns[env_id]
        )
        if is_sampled and (question := _question(recorder, record)):
            questions.setdefault(env_id, []).append(question)
    return questions


def _question(recorder: EpisodeRecorder, record: RolloutTurn) -> Question | None:
    """Return the question of a turn; None if its action or its thoughts can't be read."""
    parsed = recorder.read(record.reply)
    if parsed.action is None or parsed.span is None:
        return None
    start, end = parsed.span
    thoughts, field = record.reply[:start], FIELD.match(record.reply[start:end])
    vocabulary = getattr(recorder.env.unwrapped, "vocabulary", ())
    if not (field and thoughts.strip(EMPTY) and vocabulary) or len(record.reply) > LONGEST:
        return None
    return Question(
        record.episode,
        dict(recorder.observation),
        thoughts,
        field[0],
        record.reply[end:],
        parsed.action,
        tuple(vocabulary),
    )


def measure_effects(env_id: str, questions: Sequence[Question], score: Score) -> TaskEffects:
    """Ask the questions again with changed thoughts.

    Args:
        env_id: The environment's id.
        questions: At least one.
        score: Scores replies.
    """
    own = [_distribution(score(q, q.replies(q.thoughts))) for q in questions]
    effects = {}
    for way in WAYS:
        answers = []
        for number, question in enumerate(questions):
            donor = _donor(questions, number) if way == "swapped" else question
            if donor is not None:
                thoughts = _changed(donor.thoughts, way)
                now = _distribution(score(question, question.replies(thoughts)))
                answers.append(_answer(question, donor, own[number], now))
        if answers:
            effects[way] = _effect(answers, way == "swapped")
    agreed = [_preferred(q, p) == q.action for q, p in zip(questions, own, strict=True)]
    return TaskEffects(env_id, len(questions), sum(agreed) / len(agreed), effects)


@dataclass(frozen=True, slots=True)
class _Answer:
    """One turn that was asked again."""

    episode: str
    is_other: bool
    is_donors: bool
    distance: float


def _answer(question: Question, donor: Question, own: Array, now: Array) -> _Answer:
    action = _preferred(question, now)
    return _Answer(
        question.episode,
        action != _preferred(question, own),
        action == donor.action,
        0.5 * float(np.abs(own - now).sum()),
    )


def _effect(answers: Sequence[_Answer], is_swap: bool) -> Effect:
    episodes = [answer.episode for answer in answers]
    return Effect(
        len(answers),
        rate([answer.is_other for answer in answers], episodes),
        rate([answer.is_donors for answer in answers], episodes) if is_swap else None,
        mean([answer.distance for answer in answers], episodes),
    )


def _donor(questions: Sequence[Question], number: int) -> Question | None:
    """Return the next question, cyclically, with another action that is a candidate here too."""
    question = questions[number]
    for other in (*questions[number + 1 :], *questions[:number]):
        if other.action != question.action and other.action in question.candidates:
            return other
    return None


def _changed(thoughts: str, way: str) -> str:
    """Return thoughts with other numbers, or none of them; "swapped" changes nothing more."""
    if way == "removed":
        return thoughts[: thoughts.find("{") + 1]
    if way == "corrupted":
        return NUMBER.sub(_other_number, thoughts)
    return thoughts


def _other_number(match: re.Match[str]) -> str:
    """Return a number from 1 to 9 above the matched one, that depends on its place."""
    return str(int(match[0]) + 1 + hashed(f"{match[0]}|{match.start()}") % 9)


def _distribution(log_probs: Sequence[float]) -> Array:
    """Return the probabilities of the candidates, given that one of them is named."""
    numbers = np.asarray(log_probs, np.float64)
    weights = np.exp(numbers - numbers.max())
    probabilities: Array = weights / weights.sum()
    return probabilities


def _preferred(question: Question, probabilities: Array) -> str:
    return question.candidates[int(probabilities.argmax())]
