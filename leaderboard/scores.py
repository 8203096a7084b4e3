"""Scores of leaderboard entries."""

from collections.abc import Sequence
from dataclasses import dataclass

from vlbench.records import Episode, RunHeader
from vlbench.scoring import Headline, Scorecard, headlines, score


@dataclass(frozen=True, slots=True)
class SuiteScores:
    """The scores of one run on one suite."""

    scorecards: tuple[Scorecard, ...]
    """One for each environment, in the order of the run."""
    headlines: tuple[Headline, ...]
    """One for each table whose environments were all played."""


def score_entry(run: RunHeader, episodes: Sequence[Episode]) -> SuiteScores:
    """Return the scores of a run's episodes."""
    return SuiteScores(tuple(score(run, episodes)), tuple(headlines(episodes, run.suite)))
