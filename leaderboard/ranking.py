"""Standings: entries by score, in tie groups.

Entries played the same frozen rows, so they are compared row by row. Each entry joins the tie group
of the leader before it if the 95 % interval of their paired difference contains 0; otherwise it
leads the next tie group. A trained model ranks only if its checkpoint was chosen on `val`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import vlbench
from leaderboard.verify import Verified
from vlbench.comparison import Comparison, compare, headline_difference
from vlbench.records import Episode
from vlbench.scoring import Headline, Scorecard


@dataclass(frozen=True, slots=True)
class Standing:
    """An entry's place in a table."""

    entry: Verified
    tie_group: int | None
    """From 1; None for an entry without a score, or whose card says that it doesn't rank."""


def scorecard(entry: Verified, suite: str, env_id: str) -> Scorecard | None:
    """Return an entry's scorecard of an environment, if it played there."""
    cards = entry.scores[suite].scorecards if suite in entry.scores else ()
    return next((card for card in cards if card.env == env_id), None)


def headline(entry: Verified, suite: str, table: str) -> Headline | None:
    """Return an entry's mean normalised success, if it played all that the table averages."""
    heads = entry.scores[suite].headlines if suite in entry.scores else ()
    return next((head for head in heads if head.table == table), None)


def by_headline(entries: Sequence[Verified], suite: str, table: str) -> list[Standing]:
    """Return the standings by mean normalised success."""

    def value(entry: Verified) -> float | None:
        head = headline(entry, suite, table)
        return head.normalized if head else None

    def differ(leader: Verified, other: Verified) -> bool:
        first, second = (_headline_episodes(entry, suite, table) for entry in (leader, other))
        difference = headline_difference(first, second, suite, table)
        return difference.low > 0 or difference.high < 0

    return _standings(entries, value, differ)


def by_task(entries: Sequence[Verified], suite: str, env_id: str) -> list[Standing]:
    """Return the standings by success on one environment."""

    def value(entry: Verified) -> float | None:
        card = scorecard(entry, suite, env_id)
        return card.success if card else None

    def differ(leader: Verified, other: Verified) -> bool:
        return task_difference(leader, other, suite, env_id).separated

    return _standings(entries, value, differ)


def task_difference(first: Verified, second: Verified, suite: str, env_id: str) -> Comparison:
    """Compare two entries on an environment, second less first."""
    return compare(_played(first, suite, env_id), _played(second, suite, env_id))[0]


def _headline_episodes(entry: Verified, suite: str, table: str) -> list[Episode]:
    return [
        episode for env_id in vlbench.HEADLINES[table] for episode in _played(entry, suite, env_id)
    ]


def _played(entry: Verified, suite: str, env_id: str) -> list[Episode]:
    return [episode for episode in entry.episodes[suite] if episode.env_id == env_id]


def _standings(
    entries: Sequence[Verified],
    value: Callable[[Verified], float | None],
    differ: Callable[[Verified, Verified], bool],
) -> list[Standing]:
    scores = [(value(entry), entry) for entry in entries]
    scores.sort(key=lambda pair: -math.inf if pair[0] is None else pair[0], reverse=True)
    ranked = [
        (score, entry) for score, entry in scores if score is not None and entry.manifest.card.ranks
    ]
    ranked.sort(key=lambda pair: (-pair[0], pair[1].manifest.digest))
    standings: list[Standing] = []
    tie_group, leader = 0, None
    for _, entry in ranked:
        if leader is None or differ(leader, entry):
            tie_group, leader = tie_group + 1, entry
        standings.append(Standing(entry, tie_group))
    others = [entry for _, entry in scores if entry not in [each.entry for each in standings]]
    return standings + [Standing(entry, None) for entry in others]
