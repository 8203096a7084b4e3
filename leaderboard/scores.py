"""What a leaderboard's entries score: the numbers of their episodes, errors counted as failures."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from vlbench.records import Episode, RunHeader
from vlbench.scoring import Headline, Scorecard, headlines, score


@dataclass(frozen=True, slots=True)
class SuiteScores:
    """What one run on one suite scores."""

    scorecards: tuple[Scorecard, ...]
    """One for each environment, in the order of the run."""
    headlines: tuple[Headline, ...]
    """One for each table all of whose environments were played."""


def score_entry(run: RunHeader, episodes: Sequence[Episode]) -> SuiteScores:
    """Return what the episodes of a run score."""
    judged = errors_as_failures(episodes)
    errors = {env_id: 0 for env_id in run.env_ids}
    for episode in episodes:
        errors[episode.env_id] += episode.end == "errored"
    cards = [dataclasses.replace(c, errored=errors[c.env]) for c in score(run, judged)]
    return SuiteScores(tuple(cards), tuple(headlines(judged, run.suite)))


def errors_as_failures(episodes: Sequence[Episode]) -> list[Episode]:
    """Return episodes as a leaderboard counts them: one that errored is one that failed."""
    return [
        dataclasses.replace(episode, end="truncated", success=False)
        if episode.end == "errored"
        else episode
        for episode in episodes
    ]
