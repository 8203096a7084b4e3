"""A run's measures with their intervals, for tables and figures."""

from agents.results.run import Run
from vlbench.intervals import Interval, mean
from vlbench.scoring import Scorecard

LABELS = {
    "success": "success",
    "normalized": "normalized success",
    "return": "mean return",
    "regret": "regret of a turn",
}
"""Metric → its label in a figure."""
METRICS = tuple(LABELS)


def measure(run: Run, card: Scorecard, metric: str) -> Interval | None:
    """Return one of METRICS with its 95 % interval; None where it is unknown.

    Args:
        run: The run.
        card: One of its scorecards.
        metric: One of METRICS.
    """
    success = Interval(card.success, card.success_low, card.success_high)
    if metric == "success":
        return success
    if metric == "normalized":
        if card.normalized is None or card.floor is None or card.ceiling is None:
            return None
        span = card.ceiling - card.floor
        ends = (success.value, success.low, success.high)
        return Interval(*((end - card.floor) / span for end in ends))
    if metric == "return":
        episodes = [episode for episode in run.episodes if episode.env_id == card.env]
        clusters = [episode.instance or episode.key for episode in episodes]
        return mean([episode.total for episode in episodes], clusters)
    if card.regret is None or card.regret_low is None or card.regret_high is None:
        return None
    return Interval(card.regret, card.regret_low, card.regret_high)
