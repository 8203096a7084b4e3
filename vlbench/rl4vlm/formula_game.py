"""EZPoints' and Points24's rules in RL4VLM: write a formula, one token a turn, for `eval`."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from vlbench.cards import RANKS, SUITS
from vlbench.rl4vlm.python_eval import python_eval
from vlbench.rl4vlm.solver import tokens_to_go
from vlbench.task import Move, instance_body
from vlbench.tasks.formula.arithmetic import Cards, Grammar

END = "="
SPACE = " "
"""What is appended where an illegal number was chosen."""

NUMBERS = tuple(map(str, range(1, 11)))
AFTER = " after "
"""Stands in an instance between the cards and the formula of the episode before."""


@dataclass(frozen=True, slots=True)
class Hand:
    """Cards as they lie, in the original's writing: suit and rank, "H9", "DT", "CA"."""

    cards: tuple[str, ...]

    @property
    def numbers(self) -> tuple[int, ...]:
        """What the cards count: an ace 1; J, Q, K 10."""
        return tuple(min(RANKS.index(card[1]) + 1, 10) for card in self.cards)


@dataclass(frozen=True, slots=True)
class FormulaState:
    """A hand, the formula so far, and what the prompt says of it."""

    hand: Hand
    tokens: tuple[str, ...] = ()
    """Numbers, operators, parentheses, and a space for each illegal number."""
    used: tuple[int, ...] = ()
    """The numbers in the formula, in its order."""
    stale: str = ""
    """The formula of the episode before, which the first prompt shows instead of this one's."""

    @property
    def unused(self) -> Cards:
        """The numbers on the cards that aren't in the formula yet, sorted."""
        rest = list(self.hand.numbers)
        for number in self.used:
            rest.remove(number)
        return tuple(sorted(rest))


class FormulaGame(ABC):
    """Write a formula of which `eval` says that it is the target.

    A number that stands on no unused card appends a space and costs 1; nothing else is checked
    before "=". A formula of more than `max_tokens` tokens ends the episode at −1, whatever the
    action is.

    Args:
        name: Prefix of the instances.
        cards: Number of cards in a hand.
        target: What the formula must equal.
        operators: The tokens besides numbers and "=".
        max_tokens: Longest formula that may still be handed in.
        example: A right instance, for messages.
    """

    held_out = False
    test_share = 0.0

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
        """Read "<name>/<card>-<card>…", and " after <formula>" behind it where that is shown first.

        Raises:
            ValueError: It isn't as many cards as the game has, or the formula is no formula.
        """
        body, after, stale = instance_body(instance, self.name, self.example).partition(AFTER)
        cards = tuple(body.split("-"))
        are_cards = all(len(c) == 2 and c[0] in SUITS and c[1] in RANKS for c in cards)
        is_formula = bool(stale) and set(stale) <= set("".join(self.vocabulary) + SPACE) - {END}
        if len(cards) != self.cards or not are_cards or (after and not is_formula):
            raise ValueError(
                f'unknown instance "{instance}"; wanted "{self.name}/" and {self.cards} cards, '
                f'each a suit ({SUITS}) and a rank ({RANKS}), joined by "-", like '
                f'"{self.example}"; then perhaps " after " and the formula of the episode before'
            )
        return FormulaState(Hand(cards), stale=stale)

    def legal(self, state: FormulaState) -> tuple[str, ...]:
        """Return every token but the numbers on no unused card; all, where none counts any more."""
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
        """Whether "=" pays: all numbers are used, and `eval` of the joined tokens is the target."""
        return not state.unused and python_eval("".join(state.tokens)).value == self.target

    def values(self, state: FormulaState, turns: int) -> Mapping[str, float]:
        """Return 10 where a well-formed formula can still be handed in right, else −1.

        −1, since a formula that can't be saved ends at −1, by "=" or by its length. One that will
        be right in another way (joined digits, `**`, `//`, signs) is known only when it is
        complete: a player who builds one does better than is promised here.
        """
        return {
            action: 10.0 if distance is not None else -1.0
            for action, distance in self._distances(state).items()
        }

    def expert(self, state: FormulaState, turns: int) -> str:
        """Return the first token of a shortest right completion; "=" where there is none."""
        distances = self._distances(state).items()
        reached = {action: distance for action, distance in distances if distance is not None}
        return min(reached, key=lambda action: reached[action]) if reached else END

    def _distances(self, state: FormulaState) -> dict[str, int | None]:
        """Return, for each legal action, the actions from it to a right "=", itself included."""
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
        # Between the tokens of a well-formed formula, spaces don't count.
        tokens = tuple(token for token in state.tokens if token != SPACE)
        remaining = tokens_to_go(tokens, state.unused, self.target, self.grammar)
        return remaining if remaining is not None and remaining <= room else None
