"""The rules of Blackjack with an infinite deck, whose cards the instance fixes."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from vlbench.cards import hashed_rank
from vlbench.task import Move, instance_body
from vlbench.tasks.blackjack import odds
from vlbench.tasks.blackjack.rules import USUAL, Rules

MAX_SHOE = 10**9
"""Number of shoes; they are numbered 0..MAX_SHOE−1."""


@dataclass(frozen=True, slots=True)
class BlackjackState:
    """Both hands, as ranks 1 (ace) to 13 (king)."""

    shoe: str
    """The instance; it fixes every card of the episode."""
    player: tuple[int, ...]
    dealer: tuple[int, ...]
    """The open card, the hole card, then the cards drawn after the player stood; () until the end
    if the dealer's cards are hidden."""
    over: bool = False
    """Whether the player has stood (the dealer's hand is open) or is bust."""


VALUES = (0, *range(1, 11), 10, 10, 10)
"""Card values by rank; an ace is 1."""


@lru_cache(maxsize=8192)
def hand(ranks: tuple[int, ...], rules: Rules = USUAL) -> odds.Hand:
    """Return the hand of these ranks."""
    aces = min(ranks.count(1), rules.high_aces)
    return _hand(sum([VALUES[rank] for rank in ranks]), aces, rules.bust_above, rules.high_aces)


_hand = lru_cache(maxsize=1024)(odds.Hand)


class BlackjackGame:
    """The rules of Blackjack: no naturals, no splits, no doubling, an infinite deck.

    Args:
        rules: What a hand is worth, how the dealer plays and what the player sees.
    """

    name = "blackjack"
    vocabulary: tuple[str, ...] = ("stand", "hit")
    max_turns = 20
    test_share = 0.2
    val_share = 0.1

    def __init__(self, rules: Rules = USUAL) -> None:
        self.rules = rules

    def deal(self, rng: np.random.Generator) -> str:
        """Draw a shoe uniformly."""
        return f"{self.name}/{int(rng.integers(MAX_SHOE))}"

    def start(self, instance: str) -> BlackjackState:
        """Deal two cards each from the shoe's two streams, one per player.

        Card i of a stream follows from sha256("blackjack/<id>/<stream>/<i>"), so every agent faces
        the same dealer, however often it hits.

        Raises:
            ValueError: The shoe's number isn't canonical or is out of range.
        """
        body = instance_body(instance, self.name, "blackjack/1234")
        if not body.isdecimal() or len(body) > 9 or str(int(body)) != body:
            raise ValueError(
                f'unknown instance "{instance}"; wanted "blackjack/<id>" with an id from 0 to '
                f'{MAX_SHOE - 1}, like "blackjack/1234"'
            )
        return BlackjackState(
            instance,
            player=self._first_two(instance, "player"),
            dealer=() if self.rules.dealer_hidden else self._first_two(instance, "dealer"),
        )

    def legal(self, state: BlackjackState) -> tuple[str, ...]:
        """Return both actions; hitting at 21 is legal."""
        return self.vocabulary

    def step(self, state: BlackjackState, action: str) -> Move[BlackjackState]:
        """Hit: draw a card, −1 when bust. Stand: the dealer plays; +1, 0 or −1."""
        rules = self.rules
        if action == "hit":
            player = (*state.player, self._card(state.shoe, "player", len(state.player)))
            bust = hand(player, rules).bust
            dealer = self._dealer(state) if bust else state.dealer
            after = BlackjackState(state.shoe, player, dealer, over=bust)
            return Move(after, -1.0 if bust else 0.0, terminated=bust)
        dealer = self._dealer(state)
        dealer_hand = hand(dealer, rules)
        while odds.dealer_draws(dealer_hand, rules):
            dealer = (*dealer, self._card(state.shoe, "dealer", len(dealer)))
            dealer_hand = hand(dealer, rules)
        player_total, dealer_total = hand(state.player, rules).total, dealer_hand.total
        reward = (
            1.0
            if dealer_hand.bust or dealer_total < player_total
            else 0.0
            if dealer_total == player_total
            else -1.0
        )
        after = BlackjackState(state.shoe, state.player, dealer, over=True)
        return Move(after, reward, terminated=True, success=reward > 0)

    def situation(self, state: BlackjackState) -> odds.Situation:
        """Return what the player sees in a state before the end."""
        open_card = min(state.dealer[0], 10) if state.dealer else odds.HIDDEN
        return odds.Situation(hand(state.player, self.rules), open_card, self.rules)

    def values(self, state: BlackjackState, turns: int) -> Mapping[str, float]:
        """Return the expected return of both actions, given the visible cards."""
        at = self.situation(state)
        return {
            "stand": odds.stand(at.hand.total, at.open_card, odds.RETURN, self.rules),
            "hit": odds.hit(at.hand, at.open_card, turns, odds.RETURN, self.rules),
        }

    def expert(self, state: BlackjackState, turns: int) -> str:
        """Return the action with the larger expected return; "stand" on a tie."""
        values = self.values(state, turns)
        return "hit" if values["hit"] > values["stand"] else "stand"

    def _dealer(self, state: BlackjackState) -> tuple[int, ...]:
        """Return the dealer's first two cards, hidden or not."""
        return state.dealer or self._first_two(state.shoe, "dealer")

    def _first_two(self, shoe: str, stream: str) -> tuple[int, ...]:
        return self._card(shoe, stream, 0), self._card(shoe, stream, 1)

    @staticmethod
    def _card(shoe: str, stream: str, index: int) -> int:
        return hashed_rank(f"{shoe}/{stream}/{index}")
