"""Regret by turn, first errors, thoughts and variety of the replies in a task's rollouts."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from vlbench.diagnose.replayed import ReplayedTurn
from vlbench.records import CAUSES

NO_ERROR = "none"
"""Instead of a cause, for episodes without a suboptimal turn."""

LISTED_ACTIONS = 50
"""Most actions that a report counts one by one."""

ENOUGH_TURNS = 16
"""Turns below which no collapse is suspected."""

SAME_THOUGHTS = 0.9
"""Share of replies with the same thoughts above which a collapse is suspected."""

UNREADABLE = 0.5
"""Share of replies without an action above which a collapse is suspected."""

ONE_ACTION = 0.95
"""Share of one action above which a collapse is suspected."""


@dataclass(frozen=True, slots=True)
class TurnRegret:
    """The regret of all turns with one number."""

    turn: int
    """Number of the turn, from 0."""
    turns: int
    """How many episodes have it."""
    mean: float
    """Mean regret."""
    standard_error: float | None
    """Standard error of that mean; None for a single turn."""


@dataclass(frozen=True, slots=True)
class Thoughts:
    """Whether thoughts are true, and whether actions follow from them."""

    statements: int
    """Turns with statements about the picture that can be checked."""
    true_statements: int
    """Of these, turns without a false statement."""
    optimal_if_true: float | None
    """Share of optimal replies among turns with true statements; None if there are none."""
    optimal_if_false: float | None
    """Share of optimal replies among turns with a false statement. If it is as high as
    `optimal_if_true`, the actions don't follow from the statements."""
    plans: int
    """Turns with a readable plan."""
    consistent: int
    """Of these, turns whose action is the plan's next one."""


@dataclass(frozen=True, slots=True)
class Variety:
    """Signs of a collapse of the policy."""

    distinct_replies: float
    """Number of different replies, divided by the number of replies."""
    distinct_thoughts: float
    """The same for the text before the action."""
    commonest_thoughts: float
    """Share of the replies with the most frequent text before the action."""
    action_entropy: float
    """Entropy of the actions over all turns, in bits; replies without one count as an action."""
    actions: dict[str, int]
    """Action → turns, most frequent first; "" for replies without one. At most 50."""
    length: float
    """Mean length of a reply, in characters."""
    longest: int
    """Length of the longest reply, in characters."""
    log_prob: float | None
    """Mean log-probability of a reply, in nats; None if the engine recorded none."""
    signs: tuple[str, ...]
    """One line for each sign of a collapse."""


def regret_by_turn(turns: Sequence[ReplayedTurn]) -> tuple[TurnRegret, ...]:
    """Return the mean regret of each turn number; () if the environment has no values."""
    groups: dict[int, list[float]] = {}
    for turn in turns:
        if turn.exact is not None:
            groups.setdefault(turn.record.turn, []).append(-turn.exact)
    return tuple(_turn_regret(number, groups[number]) for number in sorted(groups))


def _turn_regret(number: int, regrets: Sequence[float]) -> TurnRegret:
    count = len(regrets)
    mean = math.fsum(regrets) / count
    error = None
    if count > 1:
        variance = math.fsum((regret - mean) ** 2 for regret in regrets) / (count - 1)
        error = math.sqrt(variance / count)
    return TurnRegret(number, count, mean, error)


def first_errors(turns: Sequence[ReplayedTurn]) -> dict[str, int]:
    """Return the cause of each episode's first suboptimal turn → episodes; "none" for no such turn.

    Args:
        turns: The turns of each episode in order.
    """
    first: dict[str, str] = {}
    for turn in turns:
        episode = turn.record.episode
        first[episode] = first.get(episode, "") or turn.turn.cause
    counts = Counter(cause or NO_ERROR for cause in first.values())
    return {cause: counts[cause] for cause in (*CAUSES, NO_ERROR)}


def assess_thoughts(turns: Sequence[ReplayedTurn]) -> Thoughts:
    """Count true statements and followed plans."""
    true = [turn for turn in turns if turn.statements.perception is True]
    false = [turn for turn in turns if turn.statements.perception is False]
    plans = [turn for turn in turns if turn.statements.plan is not None]
    return Thoughts(
        statements=len(true) + len(false),
        true_statements=len(true),
        optimal_if_true=optimal_share(true),
        optimal_if_false=optimal_share(false),
        plans=len(plans),
        consistent=sum(turn.statements.plan == turn.turn.action for turn in plans),
    )


def optimal_share(turns: Sequence[ReplayedTurn]) -> float | None:
    """Return the share of optimal replies; None without turns or values."""
    optimal = [turn.exact == 0 for turn in turns if turn.exact is not None]
    return sum(optimal) / len(optimal) if optimal else None


def assess_variety(turns: Sequence[ReplayedTurn]) -> Variety:
    """Count how different the replies are."""
    replies = Counter(turn.record.reply for turn in turns)
    thoughts = Counter(turn.thoughts for turn in turns)
    actions = Counter(turn.turn.action for turn in turns)
    log_probs = [t.record.log_prob for t in turns if t.record.log_prob is not None]
    count = len(turns)
    return Variety(
        distinct_replies=len(replies) / count,
        distinct_thoughts=len(thoughts) / count,
        commonest_thoughts=max(thoughts.values()) / count,
        action_entropy=_entropy(actions),
        actions=dict(actions.most_common(LISTED_ACTIONS)),
        length=sum(len(turn.record.reply) for turn in turns) / count,
        longest=max(len(turn.record.reply) for turn in turns),
        log_prob=sum(log_probs) / len(log_probs) if log_probs else None,
        signs=_signs(count, thoughts, actions),
    )


def _entropy(counts: Counter[str]) -> float:
    """Return the entropy of a distribution given by counts, in bits."""
    total = counts.total()
    return math.fsum(n / total * math.log2(total / n) for n in counts.values())


def _signs(count: int, thoughts: Counter[str], actions: Counter[str]) -> tuple[str, ...]:
    if count < ENOUGH_TURNS:
        return ()
    signs = []
    same = max(thoughts.values())
    if same > SAME_THOUGHTS * count:
        signs.append(f"{same} of {count} replies have the same text before the action")
    unreadable = actions[""]
    if unreadable > UNREADABLE * count:
        signs.append(f"{unreadable} of {count} replies name no action")
    action, most = actions.most_common(1)[0]
    if action and most > ONE_ACTION * count:
        signs.append(f'{most} of {count} actions are "{action:.60}"')
    return tuple(signs)
