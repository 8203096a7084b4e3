"""The rules of Blackjack with an infinite deck, whose cards the instance fixes."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from vlbench.cards import hashed_rank
from vlbench.task import Move, instance_body
from vlbench.tasks.blackjack import odds

MAX_SHOE = 10**9
"""Number of shoes; they are numbered 0..MAX_SHOE−1."""


@dataclass(frozen=True, slots=True)
class BlackjackState:
    """Both hands, as ranks 1 (ace) to 13 (king)."""

    shoe: str
    """The instance; it fixes every card of the episode."""
    player: tuple[int, ...]
    dealer: tuple[int, ...]
    """The open card, the hole card, then the cards drawn after the player stood."""
    over: bool = False
    """Whether the player has stood (the dealer's hand is open) or is bust."""


VALUES = (0, *range(1, 11), 10, 10, 10)
"""Card values by rank; an ace is 1."""

_hand = lru_cache(maxsize=1024)(odds.Hand)


@lru_cache(maxsize=8192)
def hand(ranks: tuple[int, ...]) -> odds.Hand:
    """Return the hand of these ranks."""
    return _hand(sum([VALUES[rank] for rank in ranks]), 1 in ranks)


class BlackjackGame:
    """The rules of Blackjack: no naturals, no splits, no doubling, an infinite deck.

    Args:
        dealer_hits_soft_17: Whether the dealer hits a soft 17; by default it stands on every 17.

    Raises:
        ValueError: `dealer_hits_soft_17` isn't a bool.
    """

    name = "blackjack"
    vocabulary: tuple[str, ...] = ("stand", "hit")
    max_turns = 20
    test_share = 0.2
    val_share = 0.1

    def __init__(self, dealer_hits_soft_17: bool = False) -> None:
        if not isinstance(dealer_hits_soft_17, bool):
            raise ValueError(f"dealer_hits_soft_17 must be a bool, got {dealer_hits_soft_17!r}")
        self.dealer_hits_soft_17 = dealer_hits_soft_17

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
            player=(self._card(instance, "player", 0), self._card(instance, "player", 1)),
            dealer=(self._card(instance, "dealer", 0), self._card(instance, "dealer", 1)),
        )

    def legal(self, state: BlackjackState) -> tuple[str, ...]:
        """Return both actions; hitting at 21 is legal."""
        return self.vocabulary

    def step(self, state: BlackjackState, action: str) -> Move[BlackjackState]:
        """Hit: draw a card, −1 when bust. Stand: the dealer plays; +1, 0 or −1."""
        if action == "hit":
            player = (*state.player, self._card(state.shoe, "player", len(state.player)))
            bust = hand(player).total > 21
            after = BlackjackState(state.shoe, player, state.dealer, over=bust)
            return Move(after, -1.0 if bust else 0.0, terminated=bust)
        dealer, dealer_hand = state.dealer, hand(state.dealer)
        while odds.dealer_draws(dealer_hand, self.dealer_hits_soft_17):
            dealer = (*dealer, self._card(state.shoe, "dealer", len(dealer)))
            dealer_hand = hand(dealer)
        player_total, dealer_total = hand(state.player).total, dealer_hand.total
        reward = (
            1.0
            if dealer_total > 21 or dealer_total < player_total
            else 0.0
            if dealer_total == player_total
            else -1.0
        )
        after = BlackjackState(state.shoe, state.player, dealer, over=True)
        return Move(after, reward, terminated=True, success=reward > 0)

    def values(self, state: BlackjackState, turns: int) -> Mapping[str, float]:
        """Return the expected return of both actions, given the visible cards."""
        player, open_card = hand(state.player), min(state.dealer[0], 10)
        rule = self.dealer_hits_soft_17
        return {
            "stand": odds.stand(player.total, open_card, odds.RETURN, rule),
            "hit": odds.hit(player, open_card, turns, odds.RETURN, rule),
        }

    def expert(self, state: BlackjackState, turns: int) -> str:
        """Return the action with the larger expected return; "stand" on a tie."""
        values = self.values(state, turns)
        return "hit" if values["hit"] > values["stand"] else "stand"

    @staticmethod
    def _card(shoe: str, stream: str, index: int) -> int:
        return hashed_rank(f"{shoe}/{stream}/{index}")
