"""RL4VLM's rules of EZPoints and Points24: write a formula for `eval`, one token a turn."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from vlbench.cards import RANKS, SUITS
from vlbench.rl4vlm.python_eval import FLOATS, python_eval
from vlbench.task import Move, instance_body
from vlbench.tasks.formula.arithmetic import Cards, Grammar
from vlbench.tasks.formula.solver import fewest_tokens

END = "="
SPACE = " "
"""The token that an illegal number appends."""

NUMBERS = tuple(map(str, range(1, 11)))
AFTER = " after "
"""Separator in an instance between the cards and the previous episode's formula."""


@dataclass(frozen=True, slots=True)
class Hand:
    """Cards in the order shown, in the original's notation, suit and rank: "H9", "DT", "CA"."""

    cards: tuple[str, ...]

    @property
    def numbers(self) -> tuple[int, ...]:
        """Card values: an ace is 1; J, Q, K are 10."""
        return tuple(min(RANKS.index(card[1]) + 1, 10) for card in self.cards)


@dataclass(frozen=True, slots=True)
class FormulaState:
    """A hand, the formula so far, and the stale formula in the prompt."""

    hand: Hand
    tokens: tuple[str, ...] = ()
    """Numbers, operators, parentheses, and a space for each illegal number."""
    used: tuple[int, ...] = ()
    """The numbers in the formula, in order."""
    stale: str = ""
    """The previous episode's formula, which the first prompt shows instead of this one's."""

    @property
    def unused(self) -> Cards:
        """The card values that aren't in the formula yet, sorted."""
        rest = list(self.hand.numbers)
        for number in self.used:
            rest.remove(number)
        return tuple(sorted(rest))


class FormulaGame(ABC):
    """Write a formula that `eval` finds equal to the target.

    A number that isn't on an unused card appends a space and costs 1; nothing else is checked
    before "=". Once a formula has more than `max_tokens` tokens, any action costs 1 and the episode
    is truncated.

    Args:
        name: Prefix of the instances.
        cards: Number of cards in a hand.
        target: What the formula must equal.
        operators: The tokens besides numbers and "=".
        max_tokens: Length of the longest formula that "=" can end.
        example: A valid instance, for messages.
    """

    test_share = 0.0
    val_share = 0.0

    def __init__(
        self, name: str, cards: int, target: int, operators: str, max_tokens: int, example: str
    ) -> None:
        self.name = name
        self.cards = cards
        self.target = target
        self.max_tokens = max_tokens
        self.max_turns = max_tokens + 2
        self.example = example
        self.grammar = Grammar(operators.strip("()"), "(" in operators)
        self.vocabulary = (*NUMBERS, *operators, END)

    @abstractmethod
    def deal(self, rng: np.random.Generator) -> str:
        """Draw an instance as the original does."""

    def start(self, instance: str) -> FormulaState:
        """Read "<name>/<card>-<card>…", optionally followed by " after <formula>".

        Raises:
            ValueError: The number of cards is wrong, or a card or the formula is invalid.
        """
        body, after, stale = instance_body(instance, self.name, self.example).partition(AFTER)
        cards = tuple(body.split("-"))
        are_cards = all(len(c) == 2 and c[0] in SUITS and c[1] in RANKS for c in cards)
        is_formula = bool(stale) and set(stale) <= set("".join(self.vocabulary) + SPACE) - {END}
        if len(cards) != self.cards or not are_cards or (after and not is_formula):
            raise ValueError(
                f'unknown instance "{instance}"; wanted "{self.name}/" and {self.cards} cards, '
                f'each a suit ({SUITS}) and a rank ({RANKS}), joined by "-", like '
                f'"{self.example}"; optionally followed by " after " and the previous formula'
            )
        return FormulaState(Hand(cards), stale=stale)

    def legal(self, state: FormulaState) -> tuple[str, ...]:
        """Return every token but the numbers that aren't on an unused card; all if too long."""
        if len(state.tokens) > self.max_tokens:
            return self.vocabulary
        unused = state.unused
        return tuple(t for t in self.vocabulary if t not in NUMBERS or int(t) in unused)

    def step(self, state: FormulaState, action: str) -> Move[FormulaState]:
        """Play any action of the vocabulary; an illegal number appends a space."""
        current = replace(state, stale="")
        if len(state.tokens) > self.max_tokens:
            return Move(current, -1.0)
        if action == END:
            right = self.right(state)
            return Move(current, 10.0 if right else -1.0, terminated=True, success=right)
        if action not in self.legal(state):
            return Move(replace(current, tokens=(*state.tokens, SPACE)), -1.0)
        used = (*state.used, int(action)) if action in NUMBERS else state.used
        return Move(replace(current, tokens=(*state.tokens, action), used=used), 0.0)

    def right(self, state: FormulaState) -> bool:
        """Whether "=" earns +10: all numbers are used and `eval` gives the target."""
        return not state.unused and python_eval("".join(state.tokens)).value == self.target

    def values(self, state: FormulaState, turns: int) -> Mapping[str, float]:
        """Return 10 if a correct well-formed formula can still be completed, else −1.

        A formula that can't be completed ends at −1, by "=" or by its length. Formulas that are
        correct only for `eval` (joined digits, `**`, `//`, signs) are recognised only when
        complete, so these values are a lower bound for a player who builds one.
        """
        return {
            action: 10.0 if distance is not None else -1.0
            for action, distance in self._distances(state).items()
        }

    def expert(self, state: FormulaState, turns: int) -> str:
        """Return the first token of a shortest correct completion; "=" if there is none."""
        distances = self._distances(state).items()
        reached = {action: distance for action, distance in distances if distance is not None}
        return min(reached, key=lambda action: reached[action]) if reached else END

    def _distances(self, state: FormulaState) -> dict[str, int | None]:
        """Return for each legal action the number of actions to a correct "=", itself included."""
        distances: dict[str, int | None] = {}
        for action in self.legal(state):
            move = self.step(state, action)
            if action == END:
                distances[action] = 1 if move.success else None
            else:
                remaining = self._tokens_to_go(move.state)
                distances[action] = None if remaining is None else remaining + 2
        return distances

    def _tokens_to_go(self, state: FormulaState) -> int | None:
        room = self.max_tokens - len(state.tokens)
        if room >= 0 and self.right(state):
            return 0
        # Spaces between the tokens of a well-formed formula don't change its value.
        tokens = tuple(token for token in state.tokens if token != SPACE)
        remaining = fewest_tokens(tokens, state.unused, self.target, self.grammar, FLOATS)
        return remaining if remaining is not None and remaining <= room else None
