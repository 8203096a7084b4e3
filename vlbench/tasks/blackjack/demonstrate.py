"""The fields of a Blackjack reply, and the expert's demonstration.

The expert names all cards before it adds them up: the dealer's card, the player's cards, the sum,
the total. So it writes `player cards`, which no prompt asks for, and puts the total last, although
prompts ask for it first. The bundled checkpoints were trained on this form.
"""

from collections.abc import Mapping
from itertools import accumulate

from vlbench.task import Demonstration, Fact, Field
from vlbench.tasks.blackjack.game import VALUES, BlackjackState
from vlbench.tasks.blackjack.picture import HIDDEN

TOTAL = Field("player total", "reasoning")
DEALER_CARD = Field("dealer card", "perception")
PLAYER_CARDS = Field("player cards", "perception", in_prompt=False)
THOUGHTS = Field("thoughts", "reasoning")
FIELDS = (TOTAL, DEALER_CARD, PLAYER_CARDS, THOUGHTS)


def make_demonstration(
    state: BlackjackState, facts: Mapping[str, Fact], action: str
) -> Demonstration:
    """Return the cards, their sum with every ace as 1, the total and the expert's action.

    A dealer's card that the picture hides isn't named.
    """
    total, dealer = facts["player_total"], facts["dealer_card"]
    counts = [VALUES[rank] for rank in state.player]
    sums = list(accumulate(counts))
    steps = zip(sums, counts[1:], sums[1:], strict=False)
    addition = ", ".join(f"{before} + {count} = {after}" for before, count, after in steps)
    kind = "soft" if facts["usable_ace"] else "hard"
    against = "a hidden card" if dealer == HIDDEN else dealer
    fields = {
        DEALER_CARD.name: dealer,
        PLAYER_CARDS.name: facts["player_cards"],
        THOUGHTS.name: f"{addition}, {kind} {total} against {against}",
        TOTAL.name: total,
    }
    if dealer == HIDDEN:
        del fields[DEALER_CARD.name]
    return Demonstration(fields, action)
