"""What scores read of an episode, in a few hundred bytes however long the episode is."""

import hashlib
import sys
from dataclasses import dataclass
from typing import Any

from vlbench.records.episode import CAUSES, Episode, episode_key

NO_CAUSES = (0,) * len(CAUSES)
NO_REGRETS = (0.0,) * len(CAUSES)


@dataclass(frozen=True, slots=True)
class Tally:
    """An episode's outcome, and sums over its turns."""

    env_id: str
    """As in `Episode`, as are the next six."""
    kwargs: dict[str, Any]
    instance: str
    presentation: int
    seed: int | None
    row: int
    repeat: int
    is_success: bool
    """Whether it counts as a success."""
    is_errored: bool
    """Whether the agent, its provider or the environment failed."""
    is_solved: bool
    """Whether the task was solved, by the environment's rule."""
    total: float
    """Undiscounted return."""
    turns: int
    """Number of turns, as are the next seven."""
    illegal: int
    unknown: int
    malformed: int
    """Malformed or empty replies."""
    truncated: int
    refused: int
    recovered: int
    not_strict: int
    """Turns that the strict level reads differently."""
    regret: float
    """Sum of the turns' regrets."""
    regrets: int
    """Turns with a regret."""
    causes: tuple[int, ...]
    """Turns with each of CAUSES."""
    cause_regrets: tuple[float, ...]
    """Sums of their regrets."""
    tokens: int
    """Prompt and completion tokens of the turns that report them."""
    counted: int
    """Turns that report tokens."""
    usd: float
    """Cost of the turns whose cost is known."""
    priced: int
    """Turns whose cost is known."""
    seconds: float
    """Sum of the latencies."""
    mark: bytes
    """Hash of what tells an episode from another of the same start: its arguments, its replies and
    its end."""

    @property
    def key(self) -> str:
        """Key of the episode within a run."""
        return episode_key(self.env_id, self.row, self.repeat)

    @property
    def outcome(self) -> str:
        """Return "success", "failure" or "errored"."""
        return "errored" if self.is_errored else "success" if self.is_solved else "failure"


def tally(episode: Episode | Tally) -> Tally:
    """Return the tally of an episode."""
    if isinstance(episode, Tally):
        return episode
    turns = episode.turns
    replies = [turn.reply for turn in turns]
    statuses = [turn.status for turn in turns]
    regrets = [turn.regret for turn in turns if turn.regret is not None]
    tokens = [
        (reply.prompt_tokens or 0) + (reply.completion_tokens or 0)
        for reply in replies
        if reply.prompt_tokens is not None or reply.completion_tokens is not None
    ]
    prices = [reply.usd for reply in replies if reply.usd is not None]
    texts = (str(sorted(episode.kwargs.items())), episode.end, str(episode.success))
    marked = "|".join((*texts, *(turn.reply_hash for turn in turns)))
    bad = [(turn.cause, turn.regret or 0.0) for turn in turns if turn.cause]
    return Tally(
        env_id=sys.intern(episode.env_id),
        kwargs=episode.kwargs,
        instance=sys.intern(episode.instance),
        presentation=episode.presentation,
        seed=episode.seed,
        row=episode.row,
        repeat=episode.repeat,
        is_success=episode.is_success,
        is_errored=episode.is_errored,
        is_solved=episode.success,
        total=episode.total,
        turns=len(turns),
        illegal=sum(turn.illegal for turn in turns),
        unknown=statuses.count("unknown"),
        malformed=statuses.count("malformed") + statuses.count("empty"),
        truncated=statuses.count("truncated"),
        refused=sum(reply.stop_reason == "refused" for reply in replies),
        recovered=sum(turn.recovered for turn in turns),
        not_strict=sum(not turn.strict for turn in turns),
        regret=sum(regrets, 0.0),
        regrets=len(regrets),
        causes=tuple(sum(c == cause for c, _ in bad) for cause in CAUSES) if bad else NO_CAUSES,
        cause_regrets=(
            tuple(sum((r for c, r in bad if c == cause), 0.0) for cause in CAUSES)
            if bad
            else NO_REGRETS
        ),
        tokens=sum(tokens),
        counted=len(tokens),
        usd=sum(prices, 0.0),
        priced=len(prices),
        seconds=sum((reply.seconds for reply in replies), 0.0),
        mark=hashlib.sha256(marked.encode("utf-8", "surrogatepass")).digest(),
    )
