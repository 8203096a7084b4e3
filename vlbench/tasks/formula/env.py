"""What EZPoints and Points24 share as environments: their replies, and a person's first try."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import product
from typing import TypeVar

from vlbench.cards import count_faces, read_rank
from vlbench.env import SolvedEnv
from vlbench.parsing import Json
from vlbench.task import Demonstration, Statements
from vlbench.tasks.formula.arithmetic import evaluate
from vlbench.tasks.formula.demonstrate import CARDS, FIELDS, FORMULA, PLAN, make_demonstration
from vlbench.tasks.formula.game import END, FormulaGame, FormulaState

Style = TypeVar("Style")

_TOKEN = re.compile(r"[A-Za-z]+|\d+|\S")


class FormulaEnv(SolvedEnv[FormulaState, Style]):
    """A formula written one token a turn; see the tasks for the rules."""

    game: FormulaGame  # type: ignore[assignment]
    fields = FIELDS

    def demonstrate(self) -> Demonstration | None:
        """State the cards, the formula and the numbers left, and plan a shortest right formula."""
        self._must_be_reset()
        turns = max(self.turns_left, 1)
        return make_demonstration(self.game, self._state, self._facts["cards"], turns)

    def check_statements(self, fields: Mapping[str, Json]) -> Statements:
        """Hold `cards` and `current formula` against the picture; read `plan`'s next token.

        Cards may be named by rank or by what they count, in any order.
        """
        checks: list[bool] = []
        numbers, formula = self._facts["numbers"], self._state.tokens
        assert isinstance(numbers, tuple)
        cards = fields.get(CARDS.name)
        if isinstance(cards, list):
            ranks = [read_rank(card) for card in cards]
            if None not in ranks:
                counts = [count_faces(rank, self.game.faces) for rank in ranks if rank]
                checks.append(Counter(counts) == Counter(numbers))
        stated = fields.get(FORMULA.name)
        if isinstance(stated, str):
            tokens = _TOKEN.findall(stated.strip(" \"'"))
            if tokens in (["empty"], ["none"], ["None"], ["Empty"]):
                tokens = []
            if set(tokens) <= set(self.vocabulary):
                checks.append(tokens == list(formula))
        plan = fields.get(PLAN.name)
        next_token = _next_token(plan, formula) if isinstance(plan, str) else None
        return Statements(all(checks) if checks else None, next_token)

    def heuristic(self) -> str:
        """Try the cards as they lie, with the first operators that make the target, else sums."""
        numbers = self._facts["numbers"]
        assert isinstance(numbers, tuple)
        cards = [str(number) for number in numbers]
        tries = list(product(self.game.grammar.operators, repeat=len(cards) - 1))
        formulas = [_interleave(cards, operators) for operators in tries]
        right = (tokens for tokens in formulas if evaluate(tokens) == self.game.target)
        planned, written = [*next(right, formulas[0]), END], self._state.tokens
        if list(written) != planned[: len(written)]:
            return self.expert()  # somebody else has begun
        return planned[len(written)]


def _next_token(plan: str, formula: Sequence[str]) -> str | None:
    """Return the token that continues a formula as planned.

    None if the plan is no formula, or leaves the one that has been written.
    """
    tokens = _TOKEN.findall(plan.partition(END)[0])
    if evaluate(tokens) is None or tokens[: len(formula)] != list(formula):
        return None
    tokens.append(END)
    return tokens[len(formula)] if len(tokens) > len(formula) else None


def _interleave(cards: Sequence[str], operators: Sequence[str]) -> list[str]:
    return [cards[0], *(t for pair in zip(operators, cards[1:], strict=True) for t in pair)]
