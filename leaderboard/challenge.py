"""Challenges: an entry's result on rows that nobody knew when it was submitted.

The rows follow from the entry's digest and a nonce that the maintainers publish after the
submission. The submitter plays them (`agents.evaluate --challenge DIGEST --nonce NONCE`) and packs
them as a second archive, which `verify` replays like the entry and compares with it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from leaderboard.flags import Flag
from leaderboard.same_agent import check_same_agent
from leaderboard.schema import Manifest
from leaderboard.scores import SuiteScores
from vlbench.display import formatting
from vlbench.intervals import Interval, rate_difference
from vlbench.scoring import Scorecard


@dataclass(frozen=True, slots=True)
class TaskDifference:
    """Success on one environment, on the frozen rows and on the challenge's."""

    env_id: str
    entry: Interval
    challenge: Interval
    difference: Interval
    """Challenge minus entry, with its 95 % interval; the rows differ, so it isn't paired."""

    def __str__(self) -> str:
        """Return one line."""
        rates = [formatting.percent(rate.value) for rate in (self.challenge, self.entry)]
        value, low, high = (
            formatting.signed(100 * number, 1)
            for number in (self.difference.value, self.difference.low, self.difference.high)
        )
        return f"{self.env_id}: {rates[0]}, entry {rates[1]}: {value} points ({low} to {high})"


@dataclass(frozen=True, slots=True)
class ChallengeResult:
    """An entry's result on its challenge."""

    file: str
    nonce: str
    nonce_is_published: bool
    """Whether this nonce stands beside this entry among the published ones; else the submitter may
    have chosen it."""
    nonces_file: str
    """The user's own file of published nonces; "" for that of the maintainers."""
    tasks: tuple[TaskDifference, ...]

    def lines(self) -> list[str]:
        """Return the result as lines for a terminal."""
        source = f" (from {self.nonces_file}, not from the maintainers)" if self.nonces_file else ""
        if not self.nonce_is_published:
            source = " (not published by the maintainers: no mark)"
        return [
            f"challenge {self.file}, nonce {self.nonce}{source}",
            *(f"  {task}" for task in self.tasks),
        ]

    def flags(self) -> list[Flag]:
        """Return a flag for each environment that is significantly worse on new rows."""
        return [
            Flag("falls short of its challenge", str(task))
            for task in self.tasks
            if task.difference.high < 0
        ]


@dataclass(frozen=True, slots=True)
class Nonces:
    """The published nonces."""

    by_digest: Mapping[str, str]
    """Digest of an entry → its nonce."""
    file: str = ""
    """The user's own file of them; "" for that of the maintainers."""


def published_nonces(path: Path | None = None) -> Nonces:
    """Return the published nonces.

    Args:
        path: A file like `nonces.json`; by default the one that is shipped.

    Raises:
        ValueError: The file can't be read.
    """
    file = path or files("leaderboard").joinpath("nonces.json")
    try:
        nonces = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{file} can't be read: {error}") from error
    if not isinstance(nonces, dict) or not all(isinstance(n, str) for n in nonces.values()):
        raise ValueError(f"{file}: expected an object of digest → nonce")
    return Nonces(nonces, path.name if path else "")


@dataclass(frozen=True, slots=True)
class Played:
    """What an archive says, and its scores."""

    file: str
    manifest: Manifest
    scores: Mapping[str, SuiteScores]

    def success(self, env_id: str) -> Interval:
        """Return the success rate on an environment of `test`."""
        (card,) = (card for card in self.scores["test"].scorecards if card.env == env_id)
        return _success(card)


def _success(card: Scorecard) -> Interval:
    return Interval(card.success, card.success_low, card.success_high)


def compare_challenge(entry: Played, challenge: Played, nonces: Nonces) -> ChallengeResult:
    """Compare a challenge with its entry.

    Args:
        entry: The entry, which is replayed.
        challenge: Its challenge, which is replayed.
        nonces: The published nonces.

    Raises:
        ValueError: The entry has no run on `test`, or the challenge is of another agent, other
            settings or other environments.
    """
    run = challenge.manifest.suites[0].run
    assert run.challenge is not None
    if "test" not in entry.scores:
        raise ValueError("its entry has no run on test to compare with")
    first = next(suite.run for suite in entry.manifest.suites if suite.run.part == "test")
    check_same_agent([first, run], same_suite=True)
    tasks = []
    for env_id in run.env_ids:
        rates = entry.success(env_id), challenge.success(env_id)
        tasks.append(TaskDifference(env_id, *rates, rate_difference(*rates)))
    nonce = run.challenge.nonce
    published = nonces.by_digest.get(run.challenge.digest) == nonce
    return ChallengeResult(challenge.file, nonce, published, nonces.file, tuple(tasks))
