"""What repeats of a row say: whether all of k tries succeed, and how often two tries disagree."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import comb

from vlbench.intervals import Interval, mean, wilson
from vlbench.records import Episode, Tally, tally

SHOWN = (1, 2, 4, 8, 16, 32)
"""Numbers of tries k for which pass^k is computed, as far as there are repeats."""


@dataclass(frozen=True, slots=True)
class Repeats:
    """The repeats of a run's rows, in one environment."""

    env: str
    """The environment's id."""
    rows: int
    """Rows that were played at least twice."""
    repeats: int
    """Fewest repeats of such a row."""
    passes: Mapping[int, Interval]
    """k → pass^k: the chance that k tries of a row all succeed, averaged over rows, with its 95 %
    interval, bootstrapped over instances."""
    flips: Interval
    """Flip rate: the chance that two tries of a row end differently, averaged over rows."""


def repeats_of(episodes: Iterable[Episode | Tally]) -> list[Repeats]:
    """Return what a run's repeats say, per environment; [] where no row was played twice.

    An errored episode is a try that failed.
    """
    outcomes: dict[str, dict[int, list[Tally]]] = {}
    for episode in map(tally, episodes):
        outcomes.setdefault(episode.env_id, {}).setdefault(episode.row, []).append(episode)
    found = []
    for env_id, rows in outcomes.items():
        tries = [row for row in rows.values() if len(row) > 1]
        if tries:
            found.append(_repeats(env_id, tries))
    return found


def _repeats(env_id: str, rows: Sequence[Sequence[Tally]]) -> Repeats:
    clusters = [row[0].instance or row[0].key for row in rows]
    counts = [(len(row), sum(episode.is_success for episode in row)) for row in rows]
    fewest = min(number for number, _ in counts)
    kept = [k for k in SHOWN if k < fewest] + [fewest]
    return Repeats(
        env_id,
        len(rows),
        fewest,
        {k: _mean([pass_chance(n, c, k) for n, c in counts], clusters) for k in kept},
        _mean([flip_chance(n, c) for n, c in counts], clusters),
    )


def _mean(chances: Sequence[float], clusters: Sequence[str]) -> Interval:
    """Return a mean chance; where all are 0 or all are 1, with Wilson's interval over instances."""
    if set(chances) in ({0.0}, {1.0}):
        distinct = len(set(clusters))
        return wilson(chances[0] * distinct, distinct)
    return mean(chances, clusters)


def pass_chance(tries: int, successes: int, k: int) -> float:
    """Return the chance that k tries, drawn without replacement from those made, all succeed.

    Its mean over draws of the tries is p^k, where p is the chance that one try succeeds (Yao et
    al. 2024, tau-bench).

    Args:
        tries: Tries that were made, at least k.
        successes: How many of them succeeded.
        k: At least 1.
    """
    return comb(successes, k) / comb(tries, k)


def flip_chance(tries: int, successes: int) -> float:
    """Return the chance that two of the tries, of which there are at least two, end differently."""
    return successes * (tries - successes) / comb(tries, 2)
