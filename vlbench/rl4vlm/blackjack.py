"""Blackjack with the rules of RL4VLM."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Unpack

import numpy as np

from vlbench.cards import RANKS, SUITS, rank_text
from vlbench.instances import Presentation, hashed
from vlbench.rl4vlm.env import RL4VLMEnv, load_prompt
from vlbench.sprites import Sprite, text_blit
from vlbench.task import SIZE, EnvOptions, Fact, Frame, Move, instance_body
from vlbench.tasks.blackjack import odds
from vlbench.tasks.blackjack.demonstrate import THOUGHTS
from vlbench.tasks.blackjack.game import MAX_SHOE
from vlbench.tasks.blackjack.picture import ThemeAssets, theme_assets
from vlbench.themes import THEMES
from vlbench.vector import VLVectorEnv

DEALER, BACK, PLAYER = (5, 25), (78, 25), (5, 150)
"""Top-left corners of the open card, the card back and the player's first card, in pixels."""
STEP, SECOND_ROW, IN_A_ROW = 74, 252, 5
"""Distance from card to card, y of the second row (both in pixels), cards in the first row."""
VISIBLE = (0, 1, 2, 3, 5, 6, 7, 8)
"""Indexes of the player's visible cards; the fifth card lies right of the picture."""


@dataclass(frozen=True, slots=True)
class BlackjackState:
    """Both hands; cards in the original's notation, suit and rank: "HK", "S9", "CA"."""

    shoe: str
    """The instance; it fixes every card of the episode."""
    player: tuple[str, ...]
    dealer: tuple[str, ...]
    """The open card, the hole card, then the cards drawn after the player stood."""


def hand(cards: tuple[str, ...]) -> odds.Hand:
    """Return the hand of these cards."""
    values = [min(RANKS.index(card[1]) + 1, 10) for card in cards]
    return odds.Hand(sum(values), min(values.count(1), 1))


class RL4VLMBlackjackGame:
    """The original's rules: infinite deck, no naturals, a dealer that stands on every 17."""

    name = "rl4vlm_blackjack"
    vocabulary: tuple[str, ...] = ("stand", "hit")
    max_turns = 20
    """No hand takes more turns: 22 cards always bust. The original has no limit."""
    test_share = 0.0
    val_share = 0.0

    def deal(self, rng: np.random.Generator) -> str:
        """Draw a shoe uniformly."""
        return f"{self.name}/{int(rng.integers(MAX_SHOE))}"

    def start(self, instance: str) -> BlackjackState:
        """Deal two cards each from the shoe's two streams, one per player.

        Raises:
            ValueError: The shoe's number isn't canonical or is out of range.
        """
        body = instance_body(instance, self.name, "rl4vlm_blackjack/1234")
        if not body.isdecimal() or len(body) > 9 or str(int(body)) != body:
            raise ValueError(
                f'unknown instance "{instance}"; wanted "rl4vlm_blackjack/<id>" with an id from 0 '
                f'to {MAX_SHOE - 1}, like "rl4vlm_blackjack/1234"'
            )
        player, dealer = (
            (self._card(instance, who, 0), self._card(instance, who, 1))
            for who in ("player", "dealer")
        )
        return BlackjackState(instance, player, dealer)

    def legal(self, state: BlackjackState) -> tuple[str, ...]:
        """Return both actions."""
        return self.vocabulary

    def step(self, state: BlackjackState, action: str) -> Move[BlackjackState]:
        """Hit: draw a card, −1 when bust. Stand: the dealer plays; +1, 0 or −1."""
        if action == "hit":
            card = self._card(state.shoe, "player", len(state.player))
            after = replace(state, player=(*state.player, card))
            bust = hand(after.player).total > 21
            return Move(after, -1.0 if bust else 0.0, terminated=bust)
        dealer = state.dealer
        while hand(dealer).total < 17:
            dealer = (*dealer, self._card(state.shoe, "dealer", len(dealer)))
        player_total, dealer_total = hand(state.player).total, hand(dealer).total
        reward = (
            1.0
            if dealer_total > 21 or dealer_total < player_total
            else 0.0
            if dealer_total == player_total
            else -1.0
        )
        return Move(replace(state, dealer=dealer), reward, terminated=True, success=reward > 0)

    def values(self, state: BlackjackState, turns: int) -> Mapping[str, float]:
        """Return the expected return of both actions, given the player's hand and the open card."""
        player, open_card = hand(state.player), hand(state.dealer[:1]).hard
        return {
            "stand": odds.stand(player.total, open_card, odds.RETURN),
            "hit": odds.hit(player, open_card, turns, odds.RETURN),
        }

    def expert(self, state: BlackjackState, turns: int) -> str:
        """Return the action with the larger expected return; "stand" on a tie."""
        values = self.values(state, turns)
        return "hit" if values["hit"] > values["stand"] else "stand"

    @staticmethod
    def _card(shoe: str, stream: str, index: int) -> str:
        """Return a card of a stream; 13 equal ranks, those of value 10 become J, Q or K."""
        rest, rank = divmod(hashed(f"{shoe}/{stream}/{index}"), 13)
        rest, suit = divmod(rest, 4)
        return SUITS[suit] + (RANKS[rank] if rank < 9 else "JQK"[rest % 3])


class BlackjackPicture:
    """Draws Blackjack as the original does, including cards that don't fit."""

    def style(self, start: BlackjackState, presentation: Presentation) -> ThemeAssets:
        """Return the theme's assets; the shoe fixes faces and suits."""
        return theme_assets(THEMES["classic"])

    def paint(self, frame: Frame, state: BlackjackState, style: ThemeAssets) -> None:
        """Draw the labels, the dealer's open card and a card back, and the player's cards."""
        frame[:] = style.empty
        labels = ("Dealer", style.layout.dealer_label), ("Player", style.layout.player_label)
        for label, (x, y) in labels:
            place, sprite = text_blit(style.font, label, x, y)
            frame[place] = sprite
        _paste(frame, _sprite(style, state.dealer[0]), *DEALER)
        _paste(frame, style.deck.back, *BACK)
        _draw_cards(frame, style, state.player, 0)

    def repaint(
        self,
        frame: Frame,
        state: BlackjackState,
        style: ThemeAssets,
        previous: BlackjackState,
        previous_style: ThemeAssets,
    ) -> bool:
        """Draw the player's new cards; False if earlier cards differ."""
        count = len(previous.player)
        if state.dealer[0] != previous.dealer[0] or state.player[:count] != previous.player:
            return False
        _draw_cards(frame, style, state.player, count)
        return True

    def facts(self, state: BlackjackState, style: ThemeAssets) -> dict[str, Fact]:
        """Return the open card, the player's visible cards, and the number of hidden ones."""
        visible = tuple(_rank_text(state.player[i]) for i in VISIBLE if i < len(state.player))
        return {
            "dealer_card": _rank_text(state.dealer[0]),
            "player_cards": visible,
            "unseen_cards": len(state.player) - len(visible),
        }


def _rank_text(card: str) -> str:
    return rank_text(RANKS.index(card[1]) + 1)


def _draw_cards(frame: Frame, assets: ThemeAssets, cards: tuple[str, ...], first: int) -> None:
    """Draw the player's cards from index `first` on."""
    for i in range(first, len(cards)):
        column = i if i < IN_A_ROW else i - IN_A_ROW
        y = PLAYER[1] if i < IN_A_ROW else SECOND_ROW
        _paste(frame, _sprite(assets, cards[i]), PLAYER[0] + STEP * column, y)


def _sprite(assets: ThemeAssets, card: str) -> Sprite:
    return assets.deck.card(RANKS.index(card[1]) + 1, SUITS.index(card[0]))


def _paste(frame: Frame, sprite: Sprite, x: int, y: int) -> None:
    """Copy the part of a sprite that lies within the frame."""
    part = sprite[: max(SIZE - y, 0), : max(SIZE - x, 0)]
    frame[y : y + part.shape[0], x : x + part.shape[1]] = part


class Blackjack(RL4VLMEnv[BlackjackState, ThemeAssets]):
    """RL4VLM's Blackjack: play a hand against a dealer, from an infinite deck.

    Example: `gymnasium.make("rl4vlm/Blackjack-v0")`.

    Picture:
        The dealer's open card at (5, 25) and a card back at (78, 25); the player's cards from (5,
        150), 74 pixels apart, 70×98. The fifth card lies right of the picture, invisible; the sixth
        to ninth show their upper halves in a second row. The dealer's hand is never revealed.
    Text:
        The original's prompt, word for word. It names no card.
    Actions:
        "stand" and "hit", read as in the original: a reply that names neither or both plays one
        drawn uniformly. Hitting at 21 is legal.
    Rewards:
        At the end, +1 for a win, 0 for a draw, −1 for a loss. A natural earns nothing extra: the
        original never detects one.
    Episode end:
        Terminated when the player stands or goes over 21, after 20 turns at most.
    Success:
        The return is above 0: the player wins. A draw isn't a success.
    Instances:
        `rl4vlm_blackjack/<id>`: a shoe of two card streams, the dealer's and the player's. Card i
        of a stream follows from sha256("rl4vlm_blackjack/<id>/<stream>/<i>"): a value as in an
        infinite deck and a suit. A 10 is always shown as J, Q or K. The presentation fixes the
        random actions and nothing in the picture.
    Differences from RL4VLM:
        Both hands come from the shoe, not from one generator, so records can be replayed and every
        agent faces the same dealer; the odds are the same. `info` never holds the hole card. Card
        art and font are this project's, and cards have no black corners.
    Version history:
        v0: the archived commit b989b57.

    Args:
        prompt: "cot" or "action_only".
        **options: See `vlbench.task.EnvOptions`.
    """

    fields = (THOUGHTS,)

    def __init__(self, *, prompt: str = "cot", **options: Unpack[EnvOptions]) -> None:
        words = load_prompt("blackjack", prompt)
        super().__init__(RL4VLMBlackjackGame(), BlackjackPicture(), words, **options)

    def heuristic(self) -> str:
        """Hit below 17."""
        return "hit" if hand(self._state.player).total < 17 else "stand"


class BlackjackVector(VLVectorEnv):
    """Several Blackjack environments in one process."""

    env_class = Blackjack
