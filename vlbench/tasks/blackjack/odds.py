"""Exact odds of Blackjack with an infinite deck, by dynamic programming.

An infinite deck deals 1..9 with probability 1/13 each and 10 with 4/13, independently of earlier
cards (Sutton & Barto, Reinforcement Learning, example 5.1).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property

from vlbench.tasks.blackjack.rules import USUAL, Rules

DECK = tuple((value, (4 if value == 10 else 1) / 13) for value in range(1, 11))
"""(card value, probability); an ace is 1."""
HIDDEN = 0
"""The open card of a dealer who shows none."""


@dataclass(frozen=True, slots=True, eq=False)
class Payoff:
    """The value of each result; compared by identity."""

    win: float
    draw: float
    loss: float


RETURN = Payoff(1.0, 0.0, -1.0)
WIN_RATE = Payoff(1.0, 0.0, 0.0)


@dataclass(frozen=True)
class Hand:
    """A hand under a rule, reduced to what decides its total now and later."""

    hard: int
    """The sum, with every ace as 1."""
    aces: int = 0
    """How many aces may count 11, up to the most that a hand can use."""
    bust_above: int = USUAL.bust_above
    most_aces: int = USUAL.high_aces
    """The most aces of a hand that can count 11."""

    @cached_property
    def total(self) -> int:
        """The best total: each ace counts 11 if the total doesn't exceed `bust_above`."""
        return self.hard + 10 * max(min(self.aces, (self.bust_above - self.hard) // 10), 0)

    @cached_property
    def usable_ace(self) -> bool:
        """Whether an ace counts 11."""
        return self.total > self.hard

    @cached_property
    def bust(self) -> bool:
        """Whether the total exceeds `bust_above`."""
        return self.hard > self.bust_above

    def __hash__(self) -> int:
        """Return a hash that is quick to compute; hands of one rule differ in it."""
        return 8 * self.hard + self.aces

    def draw(self, value: int) -> "Hand":
        """Return the hand with one more card, of value 1 (ace) to 10."""
        aces = min(self.aces + (value == 1), self.most_aces)
        return Hand(self.hard + value, aces, self.bust_above, self.most_aces)


def empty_hand(rules: Rules = USUAL) -> Hand:
    """Return a hand without cards."""
    return Hand(0, 0, rules.bust_above, rules.high_aces)


def dealer_draws(hand: Hand, rules: Rules) -> bool:
    """Whether the dealer draws: below 17, and at a soft 17 if the rule says so."""
    limit = rules.dealer_draws_to
    return hand.total < limit or (
        rules.dealer_hits_soft_17 and hand.total == limit and hand.usable_ace
    )


@cache
def dealer_totals(hand: Hand, rules: Rules) -> dict[int, float]:
    """Return the distribution of the dealer's final total; `bust_above` + 1 means any bust."""
    if hand.bust or not dealer_draws(hand, rules):
        return {min(hand.total, rules.bust_above + 1): 1.0}
    totals: dict[int, float] = {}
    for value, chance in DECK:
        for total, share in dealer_totals(hand.draw(value), rules).items():
            totals[total] = totals.get(total, 0.0) + chance * share
    return totals


@cache
def longest_dealer_hand(rules: Rules) -> int:
    """Return the most cards that the dealer can have."""

    @cache
    def draws(hand: Hand) -> int:
        if hand.bust or not dealer_draws(hand, rules):
            return 0
        return 1 + max(draws(hand.draw(value)) for value, _ in DECK)

    # Two cards are dealt before the dealer draws any.
    deal = [value for value, _ in DECK]
    start = empty_hand(rules)
    return 2 + max(draws(start.draw(first).draw(second)) for first in deal for second in deal)


def _dealt(open_card: int, rules: Rules) -> dict[int, float]:
    """Return the distribution of the dealer's final total, from what the player sees."""
    start = empty_hand(rules)
    return dealer_totals(start if open_card == HIDDEN else start.draw(open_card), rules)


@cache
def stand(total: int, open_card: int, payoff: Payoff, rules: Rules = USUAL) -> float:
    """Return the expected payoff of standing on `total`.

    Args:
        total: The player's total.
        open_card: The dealer's open card, 1..10, or HIDDEN.
        payoff: The value of each result.
        rules: The rules.
    """
    worth = 0.0
    for dealer, chance in _dealt(open_card, rules).items():
        won = dealer > rules.bust_above or dealer < total
        result = payoff.win if won else payoff.draw if dealer == total else payoff.loss
        worth += chance * result
    return worth


def hit(hand: Hand, open_card: int, turns: int, payoff: Payoff, rules: Rules = USUAL) -> float:
    """Return the expected payoff of one more card and best play after it.

    Args:
        hand: The player's hand.
        open_card: The dealer's open card, 1..10, or HIDDEN.
        turns: Turns that remain, including this one; a truncated episode is worth 0.
        payoff: The payoff to maximise.
        rules: The rules.
    """
    return _hits(open_card, payoff, rules)(hand, turns)


@cache
def _hits(open_card: int, payoff: Payoff, rules: Rules) -> Callable[[Hand, int], float]:
    """Return `hit` for one open card, payoff and rule; its cache has small keys."""
    stands = [
        stand(total, open_card, payoff, rules) if total else 0.0
        for total in range(rules.bust_above + 1)
    ]

    @cache
    def worth_of(hand: Hand, turns: int) -> float:
        worth = 0.0
        for value, chance in DECK:
            after = hand.draw(value)
            if after.bust:
                worth += chance * payoff.loss
            elif turns > 1:
                worth += chance * max(stands[after.total], worth_of(after, turns - 1))
        return worth

    return worth_of


@dataclass(frozen=True, slots=True)
class Situation:
    """What a player sees at the start of an episode, and the rules."""

    hand: Hand
    open_card: int
    """The dealer's open card, 1..10, or HIDDEN."""
    rules: Rules = USUAL


Policy = Callable[[Hand, int, int], float]
"""Probability that a player hits, given the hand, the open card and the turns that remain."""


def deal_expectation(play: Callable[[Situation], float], rules: Rules = USUAL) -> float:
    """Return the mean of `play(situation)` over the initial deal."""
    cards = ((HIDDEN, 1.0),) if rules.dealer_hidden else DECK
    start = empty_hand(rules)
    return sum(
        p_open * p_first * p_second * play(Situation(start.draw(a).draw(b), open_card, rules))
        for open_card, p_open in cards
        for a, p_first in DECK
        for b, p_second in DECK
    )


def policy_worth(
    hits: Policy, payoff: Payoff, rules: Rules = USUAL, turns: int = 20
) -> Callable[[Situation], float]:
    """Return a function from a situation under some rules to a policy's expected payoff.

    Args:
        hits: The policy.
        payoff: The value of each result.
        rules: The rules.
        turns: Turns that remain in the situation.
    """

    @cache
    def play(hand: Hand, open_card: int, remaining: int) -> float:
        if hand.bust:
            return payoff.loss
        if remaining == 0:
            return 0.0
        chance = hits(hand, open_card, remaining)
        worth = (1 - chance) * stand(hand.total, open_card, payoff, rules)
        if chance > 0:
            worth += chance * sum(p * play(hand.draw(v), open_card, remaining - 1) for v, p in DECK)
        return worth

    return lambda start: play(start.hand, start.open_card, turns)


def best_worth(start: Situation, payoff: Payoff, turns: int = 20) -> float:
    """Return best play's expected payoff from a situation."""
    hand, card, rules = start.hand, start.open_card, start.rules
    return max(stand(hand.total, card, payoff, rules), hit(hand, card, turns, payoff, rules))


def expert_hits(hand: Hand, open_card: int, turns: int, rules: Rules = USUAL) -> float:
    """Return 1.0 if the return-optimal player hits, else 0.0; a `Policy` for some rules."""
    gain = hit(hand, open_card, turns, RETURN, rules)
    return float(gain > stand(hand.total, open_card, RETURN, rules))
