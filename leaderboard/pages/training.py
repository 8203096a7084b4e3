"""What training added: an entry beside the entry of the model from which it started."""

from collections.abc import Sequence
from dataclasses import dataclass

from leaderboard.pages.tasks import Task
from leaderboard.ranking import scorecard, task_difference
from leaderboard.verify import Verified
from vlbench.comparison import Comparison
from vlbench.scoring import Scorecard
from vlbench.suites import TEST


@dataclass(frozen=True, slots=True)
class TrainingCell:
    """Both entries on one task's `test`."""

    start: Scorecard
    trained: Scorecard
    difference: Comparison
    """Trained less start, in pairs."""


@dataclass(frozen=True, slots=True)
class TrainingPair:
    """A trained model's entry and that of its start."""

    start: Verified
    trained: Verified
    cells: tuple[TrainingCell | None, ...]
    """One a task; None where one of them didn't play."""


def training_pairs(entries: Sequence[Verified], tasks: Sequence[Task]) -> list[TrainingPair]:
    """Return the entries whose start is an entry too, by name, with what both played."""
    by_digest = {entry.manifest.digest: entry for entry in entries}
    pairs = []
    for trained in entries:
        start = by_digest.get(trained.manifest.card.start)
        if start:
            cells = tuple(_cell(start, trained, task.env_id) for task in tasks)
            pairs.append(TrainingPair(start, trained, cells))
    return [pair for pair in pairs if any(pair.cells)]


def _cell(start: Verified, trained: Verified, env_id: str) -> TrainingCell | None:
    cards = [scorecard(entry, TEST, env_id) for entry in (start, trained)]
    if not cards[0] or not cards[1]:
        return None
    return TrainingCell(cards[0], cards[1], task_difference(start, trained, TEST, env_id))
