"""Scores of leaderboard entries; errored episodes count as failures."""

import dataclasses
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
    judged = errors_as_failures(episodes)
    errors = {env_id: 0 for env_id in run.env_ids}
    for episode in episodes:
        errors[episode.env_id] += episode.end == "errored"
    cards = [dataclasses.replace(c, errored=errors[c.env]) for c in score(run, judged)]
    return SuiteScores(tuple(cards), tuple(headlines(judged, run.suite)))


def errors_as_failures(episodes: Sequence[Episode]) -> list[Episode]:
    """Return the episodes with every errored one counted as failed."""
    return [
        dataclasses.replace(episode, end="truncated", success=False)
        if episode.end == "errored"
        else episode
        for episode in episodes
    ]
