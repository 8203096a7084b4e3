"""Blackjack by what was read."""

import re
from collections.abc import Sequence

from agents.players.ocr.cards import Card, find_cards
from agents.players.ocr.play import UNREAD, Play
from agents.players.ocr.words import Word
from vlbench.cards import rank_text
from vlbench.task import Fact
from vlbench.tasks.blackjack.demonstrate import DEALER_CARD, THOUGHTS, TOTAL
from vlbench.tasks.blackjack.game import BlackjackGame, BlackjackState, hand
from vlbench.tasks.blackjack.picture import HIDDEN
from vlbench.tasks.blackjack.rules import BUST_ABOVE, Rules

ENV_IDS = ("vlbench/Blackjack-v0",)
"""The environments that it plays."""

WIDTH = 70
"""Width of a card in pixels."""


def play(words: Sequence[Word], prompt: str) -> Play:
    """Play best for the cards that were read.

    A dealer's card that can't be read counts as face down. With fewer than two cards of the
    player's own it stands.
    """
    game = BlackjackGame(read_rules(prompt))
    dealer, player = (find_cards(part, WIDTH) for part in _hands(words))
    ranks = tuple(card.rank for card in player)
    open_rank = dealer[0].rank if dealer and not game.rules.dealer_hidden else None
    unseen_rank = HIDDEN if game.rules.dealer_hidden else UNREAD
    facts = _facts(player, game.rules)
    facts["dealer_card"] = rank_text(open_rank) if open_rank else unseen_rank
    fields: dict[str, Fact] = {
        TOTAL.name: facts["player_total"],
        DEALER_CARD.name: facts["dealer_card"],
    }
    if game.rules.dealer_hidden:
        del fields[DEALER_CARD.name]
    lost = max(2 - len(ranks), 0) + (facts["dealer_card"] == UNREAD)
    if len(ranks) < 2:
        fields[THOUGHTS.name] = f"{len(ranks)} cards can be read of two or more, so this is a guess"
        return Play("stand", facts, fields, lost)
    state = BlackjackState("", ranks, (open_rank,) if open_rank else ())
    cards = " ".join(map(rank_text, ranks))
    fields[THOUGHTS.name] = f"the solver for {cards} read against {facts['dealer_card']}"
    return Play(game.expert(state, game.max_turns), facts, fields, lost)


def read_rules(prompt: str) -> Rules:
    """Return the rules that a prompt describes."""
    bust = re.search(r"bust above (\d+)", prompt)
    draws = re.search(r"draws to (\d+)", prompt)
    return Rules(
        dealer_hits_soft_17="hits a soft" in prompt,
        bust_above=int(bust[1]) if bust else BUST_ABOVE,
        ace_counts_11="never 11" not in prompt,
        dealer_draws_to=int(draws[1]) if draws else 17,
        dealer_hidden="cards lie face down" in prompt,
    )


def _hands(words: Sequence[Word]) -> tuple[list[Word], list[Word]]:
    """Return the words under "Dealer" and those under "Player"; a hand lies under its label."""
    labels = {
        name: word.middle for word in words for name in ("Dealer", "Player") if name in word.text
    }
    hands: dict[str, list[Word]] = {"Dealer": [], "Player": []}
    for word in words:
        above = {name: y for name, y in labels.items() if y < word.middle}
        if above and not any(name in word.text for name in hands):
            hands[max(above, key=lambda name: above[name])].append(word)
    return hands["Dealer"], hands["Player"]


def _facts(player: Sequence[Card], rules: Rules) -> dict[str, Fact]:
    """Return the facts about the player's hand."""
    counted = hand(tuple(card.rank for card in player), rules)
    return {
        "player_cards": tuple(rank_text(card.rank) for card in player),
        "player_total": counted.total,
        "usable_ace": counted.usable_ace,
    }
