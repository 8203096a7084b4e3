"""Compute scorecards from episodes. Every metric is defined here."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

import vlbench
from vlbench.instances import group_of
from vlbench.intervals import (
    RESAMPLES,
    Interval,
    percentile_interval,
    rate,
    resampled_means,
    resampled_sums,
)
from vlbench.records import CAUSES, Episode, RunHeader, Tally, tally
from vlbench.suites import bounds, held_out, label, suite_facts


@dataclass(frozen=True, slots=True)
class Attribution:
    """The suboptimal turns with one cause."""

    turns: int
    """Number of turns with this cause."""
    regret: float
    """Sum of their regrets; 0 if the environment has no values."""


@dataclass(frozen=True, slots=True)
class GroupScore:
    """Success in one group of an environment's instances."""

    episodes: int
    """Number of episodes."""
    success: float
    """Share of these episodes that succeeded."""
    success_low: float
    """Lower end of the 95 % interval, as in `Scorecard`."""
    success_high: float
    """Upper end of the 95 % interval, as in `Scorecard`."""


@dataclass(frozen=True, slots=True)
class Scorecard:
    """One agent on one environment. Rates are 0..1; None means unknown.

    An errored episode counts as a failure, here and on the leaderboard; its turns and its rewards
    up to the error count like any others.
    """

    env: str
    """The environment's id."""
    agent: str
    """The agent's name."""
    suite: str
    """The frozen set; "seeds" if rows were dealt instead."""
    prompt: str
    """Variant of the prompt."""
    theme: str
    """Theme or group of themes; the name of the suite if the suite's own themes were used."""
    episodes: int
    """Number of episodes, errored ones included."""
    distinct: int
    """Number of distinct instances among them."""
    errored: int
    """Episodes that ended with an error of the agent, its provider or the environment."""
    success: float
    """Share of episodes that reached the task's goal."""
    success_low: float
    """Lower end of its 95 % interval: Wilson's, or bootstrapped over instances if they repeat."""
    success_high: float
    """Upper end of its 95 % interval."""
    paper_success: float
    """Share of episodes with a return above 0: RL4VLM's definition of success."""
    mean_return: float
    """Mean undiscounted return of an episode."""
    normalized: float | None
    """(success − floor) / (ceiling − floor)."""
    floor: float | None
    """Success rate of uniformly random actions on this suite."""
    ceiling: float | None
    """Highest expected success rate of any player on this suite."""
    regret: float | None
    """Mean regret of a turn: optimal return minus the best return still possible after it."""
    regret_low: float | None
    """Lower end of its 95 % interval, bootstrapped over instances."""
    regret_high: float | None
    """Upper end of its 95 % interval."""
    illegal_rate: float
    """Share of turns whose action is illegal in the state."""
    unknown_rate: float
    """Share of turns that name an action which the environment doesn't have."""
    malformed_rate: float
    """Share of turns whose reply names no action or is empty, and isn't truncated."""
    truncated_rate: float
    """Share of turns whose reply ends inside its JSON object."""
    refused_rate: float
    """Share of turns that the provider refused to answer; they are played as empty replies."""
    recovered_rate: float
    """Share of turns that the parser could read only leniently."""
    strict_rate: float
    """Share of turns that the strict level reads differently."""
    strict_success: tuple[float, float] | None
    """Lowest and highest possible success rate under the strict level. Both equal `success` if the
    strict level reads every turn the same; episodes with other turns may end either way."""
    attribution: dict[str, Attribution]
    """Cause → the suboptimal turns with that cause."""
    turns: int
    """Number of turns of all episodes."""
    tokens: int | None
    """Prompt and completion tokens, summed over the turns that report them."""
    usd: float | None
    """Cost of all turns in US dollars; None if the cost of any turn is unknown."""
    usd_per_success: float | None
    """`usd` divided by the number of successful episodes."""
    seconds: float
    """Mean latency of a reply."""
    groups: dict[str, GroupScore]
    """Success by group of instances, e.g. by ALFWorld's task types; {} if a task has no groups."""
    notes: tuple[str, ...] = field(default=())
    """Caveats that belong beside these numbers."""
    picture: str = "true"
    """What the agent's pictures showed; see `RunSpec`."""
    visual_gain: Interval | None = None
    """Success minus the success of the same agent with a blank picture on the same rows, with its
    paired 95 % interval; None where it didn't play them so."""


@dataclass(frozen=True, slots=True)
class Headline:
    """The mean normalised success over the environments of a table; all of them were played.

    An errored episode counts as a failure.
    """

    table: str
    """The table's name: a key of `HEADLINES`."""
    normalized: float
    """Mean of the normalised success over the table's environments."""
    low: float
    """Lower end of its 95 % interval, bootstrapped over instances."""
    high: float
    """Upper end of its 95 % interval."""


ABOVE_CEILING = (
    "normalized above 1: more successes than the best player can expect, so chance helped"
)
"""Caveat of a scorecard whose success rate is above its ceiling."""

NOT_VISUAL = "not visual: an expert that sees only the picture does no better than with a blank one"
"""Caveat of a suite whose visual gain isn't clear of 0."""


def score(header: RunHeader, episodes: Iterable[Episode | Tally]) -> list[Scorecard]:
    """Return one scorecard per environment, in the order of the header."""
    of_env: dict[str, list[Tally]] = {}
    for episode in episodes:
        of_env.setdefault(episode.env_id, []).append(tally(episode))
    return [
        _scorecard(header, env_id, of_env[env_id]) for env_id in header.env_ids if env_id in of_env
    ]


def _scorecard(header: RunHeader, env_id: str, episodes: Sequence[Tally]) -> Scorecard:
    success = success_interval(episodes)
    limits = bounds(env_id, header.suite) or header.bounds.get(env_id)
    regret = regret_interval(episodes)
    errored = sum(episode.is_errored for episode in episodes)
    successes = sum(episode.is_success for episode in episodes)
    usd = _usd(episodes)
    turns = sum(episode.turns for episode in episodes)
    normalized = None
    if limits and limits.ceiling > limits.floor:
        normalized = (success.value - limits.floor) / (limits.ceiling - limits.floor)
    is_lucky = normalized is not None and normalized > 1 + 1e-9

    def share(name: str) -> float:
        """Return a count of turns as a share of all turns."""
        return sum(getattr(episode, name) for episode in episodes) / turns if turns else 0.0

    return Scorecard(
        env=env_id,
        agent=header.agent,
        suite=header.suite,
        prompt=header.prompt,
        theme=header.theme or header.suite,
        episodes=len(episodes),
        distinct=len({episode.instance for episode in episodes if episode.instance}),
        errored=errored,
        success=success.value,
        success_low=success.low,
        success_high=success.high,
        paper_success=_mean([e.total > 0 and not e.is_errored for e in episodes]),
        mean_return=_mean([episode.total for episode in episodes]),
        normalized=normalized,
        floor=limits.floor if limits else None,
        ceiling=limits.ceiling if limits else None,
        regret=regret.value if regret else None,
        regret_low=regret.low if regret else None,
        regret_high=regret.high if regret else None,
        illegal_rate=share("illegal"),
        unknown_rate=share("unknown"),
        malformed_rate=share("malformed"),
        truncated_rate=share("truncated"),
        refused_rate=share("refused"),
        recovered_rate=share("recovered"),
        strict_rate=share("not_strict"),
        strict_success=_strict_success(episodes),
        attribution=attribute(episodes),
        turns=turns,
        tokens=_tokens(episodes),
        usd=usd,
        usd_per_success=usd / successes if usd is not None and successes else None,
        seconds=share("seconds"),
        groups=_groups(episodes),
        notes=(
            *notes(env_id, header.suite),
            *errored_note(errored, len(episodes)),
            *([ABOVE_CEILING] if is_lucky else []),
        ),
        picture=header.picture,
    )


def errored_note(errored: int, episodes: int) -> tuple[str, ...]:
    """Return the caveat about errored episodes; () if there are none."""
    return (f"{errored} of {episodes} episodes errored and count as failures",) if errored else ()


def notes(env_id: str, suite: str) -> tuple[str, ...]:
    """Return the caveats that belong beside an environment's numbers."""
    facts = suite_facts(env_id, suite)
    caveats = label(env_id, suite), "" if held_out(env_id) else "instances not held out"
    trained = ""
    if facts and facts.trained and held_out(env_id):
        trained = (
            f"{facts.trained} of {facts.instances} instances occur in training, in other "
            "presentations"
        )
    is_blind = facts is not None and facts.visual_gain is not None and facts.visual_gain.low <= 0
    return tuple(filter(None, (*caveats, trained, NOT_VISUAL if is_blind else "")))


def _groups(episodes: Sequence[Tally]) -> dict[str, GroupScore]:
    groups: dict[str, list[Tally]] = {}
    for episode in episodes:
        if group := group_of(episode.instance):
            groups.setdefault(group, []).append(episode)
    scores = {}
    for group in sorted(groups):
        success = success_interval(groups[group])
        scores[group] = GroupScore(len(groups[group]), success.value, success.low, success.high)
    return scores


def success_interval(episodes: Sequence[Episode | Tally]) -> Interval:
    """Return the success rate with its 95 % interval; 0 with 0..1 if nothing was played."""
    if not episodes:
        return Interval(0.0, 0.0, 1.0)
    # An episode that failed before its first frame may not know its instance.
    clusters = [episode.instance or episode.key for episode in episodes]
    return rate([episode.is_success for episode in episodes], clusters)


def regret_interval(episodes: Iterable[Episode | Tally]) -> Interval | None:
    """Return the mean regret of a turn with its 95 % interval; None if no turn has a regret."""
    tallies = [item for item in map(tally, episodes) if item.regrets]
    if not tallies:
        return None
    columns = np.array([[item.regret, item.regrets] for item in tallies], np.float64)
    total, count = columns.sum(0)
    sums = resampled_sums(columns, [item.instance or item.key for item in tallies])
    return percentile_interval(float(total / count), sums[:, 0] / sums[:, 1])


def usd_per_success(cards: Sequence[Scorecard]) -> float | None:
    """Return the cost per successful episode over several environments, in US dollars.

    Args:
        cards: One agent's scorecards.

    Returns:
        None if the cost of any environment is unknown, or if no episode succeeded.
    """
    usd = _sum([card.usd for card in cards])
    successes = sum(card.success * card.episodes for card in cards)
    return usd / successes if usd is not None and successes else None


def attribute(episodes: Iterable[Episode | Tally]) -> dict[str, Attribution]:
    """Return the number and the total regret of the turns with each cause."""
    counts, regrets = dict.fromkeys(CAUSES, 0), dict.fromkeys(CAUSES, 0.0)
    for item in map(tally, episodes):
        for cause, count, regret in zip(CAUSES, item.causes, item.cause_regrets, strict=True):
            counts[cause] += count
            regrets[cause] += regret
    return {cause: Attribution(counts[cause], regrets[cause]) for cause in CAUSES}


def headlines(episodes: Iterable[Episode | Tally], suite: str) -> list[Headline]:
    """Return the headline of each table whose environments were all played."""
    played: dict[str, list[Episode | Tally]] = {}
    for episode in episodes:
        played.setdefault(episode.env_id, []).append(episode)
    return [
        _headline(table, {env_id: played[env_id] for env_id in env_ids}, suite)
        for table, env_ids in vlbench.HEADLINES.items()
        if all(env_id in played and bounds(env_id, suite) for env_id in env_ids)
    ]


def _headline(
    table: str, episodes: Mapping[str, Sequence[Episode | Tally]], suite: str
) -> Headline:
    outcomes = {
        env_id: [(episode.instance, float(episode.is_success)) for episode in played]
        for env_id, played in episodes.items()
    }
    average = normalized_mean(outcomes, suite, floors=True)
    return Headline(table, average.value, average.low, average.high)


def normalized_mean(
    values: Mapping[str, Sequence[tuple[str, float]]], suite: str, floors: bool
) -> Interval:
    """Return the mean of the environments' normalised means, bootstrapped over instances.

    Args:
        values: env id → (instance, success or difference in success) of each episode.
        suite: The set that was played; each environment has bounds for it.
        floors: Whether to subtract the floor, as for success; not for differences.
    """
    value, resampled = 0.0, np.zeros(RESAMPLES)
    for seed, (env_id, pairs) in enumerate(values.items()):
        limits = bounds(env_id, suite)
        assert limits is not None
        zero = limits.floor if floors else 0.0
        span = (limits.ceiling - limits.floor) * len(values)
        instances, outcomes = zip(*pairs, strict=True)
        value += (sum(outcomes) / len(outcomes) - zero) / span
        resampled = resampled + (resampled_means(outcomes, instances, seed) - zero) / span
    return percentile_interval(value, resampled)


def _strict_success(episodes: Sequence[Tally]) -> tuple[float, float] | None:
    if not episodes:
        return None
    same = [episode for episode in episodes if not episode.not_strict]
    certain = sum(episode.is_success for episode in same)
    undecided = len(episodes) - len(same)
    return certain / len(episodes), (certain + undecided) / len(episodes)


def _tokens(episodes: Sequence[Tally]) -> int | None:
    if not any(episode.counted for episode in episodes):
        return None
    return sum(episode.tokens for episode in episodes)


def _usd(episodes: Sequence[Tally]) -> float | None:
    priced = sum(episode.priced for episode in episodes)
    if not priced or priced < sum(episode.turns for episode in episodes):
        return None
    return sum(episode.usd for episode in episodes)


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
