"""The Blackjack task."""

from collections.abc import Mapping
from typing import Unpack

from vlbench.cards import read_rank
from vlbench.parsing import Json
from vlbench.solved_env import SolvedEnv
from vlbench.task import CommonOptions, Demonstration, Fact, Statements, read_number, split_options
from vlbench.tasks.blackjack.demonstrate import DEALER_CARD, FIELDS, TOTAL, make_demonstration
from vlbench.tasks.blackjack.game import BlackjackGame, BlackjackState
from vlbench.tasks.blackjack.picture import BlackjackPicture, BlackjackStyle
from vlbench.tasks.blackjack.prompt_text import load_prompt
from vlbench.tasks.blackjack.rules import Rules
from vlbench.vector import VLVectorEnv


class Blackjack(SolvedEnv[BlackjackState, BlackjackStyle]):
    """Play a hand of blackjack against a dealer, from an infinite deck.

    Example: `gymnasium.make("vlbench/Blackjack-v0", bust_above=25)`.

    Picture:
        The dealer's open card and a card back, and all of the player's cards; after the player
        stands, the dealer's whole hand.
    Text:
        The prompt, which states the rules. It names no card; `cot_facts` does.
    Actions:
        "stand" and "hit". Hitting at 21 is legal.
    Rewards:
        At the end, +1 for a win, 0 for a draw, −1 for a loss. An unreadable reply changes nothing
        and costs −1.
    Episode end:
        Terminated when the player stands or is bust, above 21; truncated after 20 turns.
    Success:
        The player wins; a draw isn't a success.
    Instances:
        `blackjack/<id>`: a shoe of two card streams, the dealer's and the player's. Card i of a
        stream is a rank from sha256("blackjack/<id>/<stream>/<i>"), so every agent faces the same
        dealer, however often it hits. A keyed hash makes 20 % of the shoes test shoes.
    Differences from RL4VLM:
        Every card is visible (in RL4VLM the fifth lies outside the picture). A 10 may be shown as
        10, J, Q or K. `info` never holds the hole card. The two workers of a run get different
        deals. An unreadable reply never becomes a random move. Naturals earn nothing extra in
        either.
    Version history:
        v0: first version.

    Args:
        dealer_hits_soft_17: Whether the dealer draws at a soft 17 (at a soft `dealer_draws_to`); by
            default it stands on every 17. It changes the best action in no situation.
        bust_above: The largest total that isn't bust, 21..63.
        ace_counts_11: Whether an ace counts 11 where that doesn't exceed `bust_above`, or always 1.
            Above 21 several aces of a hand may count 11.
        dealer_draws_to: The total below which the dealer draws, 12..bust_above.
        dealer_hidden: Whether both of the dealer's cards lie face down until the player stands.
        from_memory: Whether each card lies face up in the first picture that has it, and face down
            later.
        **options: See `vlbench.task.CommonOptions`.
    """

    fields = FIELDS

    def __init__(
        self,
        *,
        dealer_hits_soft_17: bool = False,
        bust_above: int = 21,
        ace_counts_11: bool = True,
        dealer_draws_to: int = 17,
        dealer_hidden: bool = False,
        from_memory: bool = False,
        **options: Unpack[CommonOptions],
    ) -> None:
        common = split_options(options)
        self.rules = Rules(
            dealer_hits_soft_17=dealer_hits_soft_17,
            bust_above=bust_above,
            ace_counts_11=ace_counts_11,
            dealer_draws_to=dealer_draws_to,
            dealer_hidden=dealer_hidden,
        )
        picture = BlackjackPicture(common.themes, self.rules, from_memory)
        prompt = load_prompt(common.prompt, self.rules, from_memory)
        super().__init__(BlackjackGame(self.rules), picture, prompt, **common.rest)

    def heuristic(self) -> str:
        """Play like the dealer: hit below 17."""
        total = self._seen_facts["player_total"]
        assert isinstance(total, int)
        return "hit" if total < self.rules.dealer_draws_to else "stand"

    def expert_by_picture(self, facts: Mapping[str, Fact]) -> str:
        """Return the action of an expert who sees these facts; see `VLEnv.seen_facts`."""
        cards = facts["player_cards"]
        assert isinstance(cards, tuple)
        player = tuple(rank for card in cards if (rank := read_rank(card)))
        dealer = read_rank(facts["dealer_card"])
        state = BlackjackState("", player, (dealer,) if dealer else ())
        return self.game.expert(state, max(self.turns_left, 1))

    def demonstrate(self) -> Demonstration:
        """Name all cards, add them up, compare with the dealer's card, and give the action."""
        self._must_be_reset()
        return make_demonstration(self._state, self._seen_facts, self.expert())

    def check_statements(self, fields: Mapping[str, Json]) -> Statements:
        """Compare `player total` and `dealer card` with the picture.

        A reply may name the dealer's card by its rank or by its value. While that card lies face
        down, any card named is wrong.
        """
        checks: list[bool] = []
        total = read_number(fields.get(TOTAL.name))
        if total is not None:
            checks.append(total == self._seen_facts["player_total"])
        rank = read_rank(fields.get(DEALER_CARD.name))
        if rank is not None:
            counts = {1: (1, 11), 11: (10, 11), 12: (10, 12), 13: (10, 13)}
            dealer = self._state.dealer[0] if self._state.dealer else 0
            checks.append(rank in counts.get(dealer, (dealer,)))
        return Statements(all(checks) if checks else None)


class BlackjackVector(VLVectorEnv):
    """Several Blackjack environments in one process."""

    env_class = Blackjack
