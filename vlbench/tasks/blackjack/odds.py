"""Exact odds of Blackjack with an infinite deck, by dynamic programming.

An infinite deck deals 1..9 with probability 1/13 each and 10 with 4/13, independently of earlier
cards (Sutton & Barto, Reinforcement Learning, example 5.1).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property

DECK = tuple((value, (4 if value == 10 else 1) / 13) for value in range(1, 11))
"""(card value, probability); an ace is 1."""


@dataclass(frozen=True, slots=True)
class Payoff:
    """The value of each result."""

    win: float
    draw: float
    loss: float


RETURN = Payoff(1.0, 0.0, -1.0)
WIN_RATE = Payoff(1.0, 0.0, 0.0)


@dataclass(frozen=True)
class Hand:
    """A hand, reduced to its sum with aces as 1 and whether it has an ace."""

    hard: int
    ace: bool

    @cached_property
    def total(self) -> int:
        """The best total: an ace counts 11 if that doesn't exceed 21."""
        return self.hard + 10 if self.usable_ace else self.hard

    @cached_property
    def usable_ace(self) -> bool:
        """Whether an ace counts 11."""
        return self.ace and self.hard <= 11

    def draw(self, value: int) -> "Hand":
        """Return the hand with one more card, of value 1 (ace) to 10."""
        return Hand(self.hard + value, self.ace or value == 1)


EMPTY = Hand(0, False)


def dealer_draws(hand: Hand, hits_soft_17: bool) -> bool:
    """Whether the dealer draws: below 17, and at a soft 17 if the rule says so."""
    return hand.total < 17 or (hits_soft_17 and hand.total == 17 and hand.usable_ace)


@cache
def dealer_totals(hand: Hand, hits_soft_17: bool) -> dict[int, float]:
    """Return the distribution of the dealer's final total; 22 means any bust."""
    if not dealer_draws(hand, hits_soft_17):
        return {min(hand.total, 22): 1.0}
    totals: dict[int, float] = {}
    for value, chance in DECK:
        for total, share in dealer_totals(hand.draw(value), hits_soft_17).items():
            totals[total] = totals.get(total, 0.0) + chance * share
    return totals


@cache
def stand(total: int, open_card: int, payoff: Payoff, hits_soft_17: bool) -> float:
    """Return the expected payoff of standing on `total` against an open card 1..10."""
    worth = 0.0
    for dealer, chance in dealer_totals(EMPTY.draw(open_card), hits_soft_17).items():
        won = dealer > 21 or dealer < total
        result = payoff.win if won else payoff.draw if dealer == total else payoff.loss
        worth += chance * result
    return worth


@cache
def hit(hand: Hand, open_card: int, turns: int, payoff: Payoff, hits_soft_17: bool) -> float:
    """Return the expected payoff of one more card and best play after it.

    Args:
        hand: The player's hand.
        open_card: The dealer's open card, 1..10.
        turns: Turns that remain, including this one; a truncated episode is worth 0.
        payoff: The payoff to maximise.
        hits_soft_17: Whether the dealer hits a soft 17.
    """
    worth = 0.0
    for value, chance in DECK:
        after = hand.draw(value)
        if after.total > 21:
            worth += chance * payoff.loss
        elif turns > 1:
            best_hit = hit(after, open_card, turns - 1, payoff, hits_soft_17)
            worth += chance * max(stand(after.total, open_card, payoff, hits_soft_17), best_hit)
    return worth


def deal_expectation(play: Callable[[Hand, int], float]) -> float:
    """Return the mean of `play(hand, open_card)` over the initial deal."""
    return sum(
        p_open * p_first * p_second * play(EMPTY.draw(first).draw(second), open_card)
        for open_card, p_open in DECK
        for first, p_first in DECK
        for second, p_second in DECK
    )


def policy_worth(
    hits: Callable[[Hand, int], float],
    payoff: Payoff,
    turns: int = 20,
    hits_soft_17: bool = False,
) -> float:
    """Return a policy's expected payoff from a fresh deal.

    Args:
        hits: Probability that the policy hits, given its hand and the open card.
        payoff: The value of each result.
        turns: Turn limit of an episode.
        hits_soft_17: Whether the dealer hits a soft 17.
    """

    @cache
    def play(hand: Hand, open_card: int, remaining: int) -> float:
        if hand.total > 21:
            return payoff.loss
        if remaining == 0:
            return 0.0
        chance = hits(hand, open_card)
        worth = (1 - chance) * stand(hand.total, open_card, payoff, hits_soft_17)
        if chance > 0:
            worth += chance * sum(p * play(hand.draw(v), open_card, remaining - 1) for v, p in DECK)
        return worth

    return deal_expectation(lambda hand, open_card: play(hand, open_card, turns))


def best_worth(payoff: Payoff, turns: int = 20, hits_soft_17: bool = False) -> float:
    """Return best play's expected payoff from a fresh deal."""
    return deal_expectation(
        lambda hand, open_card: max(
            stand(hand.total, open_card, payoff, hits_soft_17),
            hit(hand, open_card, turns, payoff, hits_soft_17),
        )
    )
