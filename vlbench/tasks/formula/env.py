"""The environment that EZPoints and Points24 share: statements, demonstration, heuristic."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import product
from typing import TypeVar

from vlbench.cards import count_faces, read_rank
from vlbench.parsing import Json
from vlbench.solved_env import SolvedEnv
from vlbench.task import Demonstration, Fact, Statements, read_number
from vlbench.tasks.formula.arithmetic import evaluate
from vlbench.tasks.formula.demonstrate import CARDS, FIELDS, FORMULA, PLAN, make_demonstration
from vlbench.tasks.formula.game import END, FormulaGame, FormulaState
from vlbench.tasks.formula.picture import FACE_DOWN

Style = TypeVar("Style")

_TOKEN = re.compile(r"[A-Za-z]+|\d+|\S")


class FormulaEnv(SolvedEnv[FormulaState, Style]):
    """An environment that writes a formula one token a turn; the tasks state the rules."""

    game: FormulaGame  # type: ignore[assignment]
    fields = FIELDS

    def expert_by_picture(self, facts: Mapping[str, Fact]) -> str:
        """Return the action of an expert who sees these facts; see `VLEnv.seen_facts`.

        Where the picture hides the formula, it remembers its own tokens.
        """
        numbers, formula, target = facts["numbers"], facts["formula"], facts["target"]
        assert isinstance(numbers, tuple) and isinstance(formula, str) and isinstance(target, int)
        seen = self.seen.state if self.seen else self._state
        tokens = seen.tokens if formula == FACE_DOWN else tuple(formula.split())
        hand = tuple(sorted(map(int, numbers)))
        unused = Counter(hand) - Counter(int(token) for token in tokens if token.isdecimal())
        state = self.game.first_state(hand, target).after(tokens, tuple(sorted(unused.elements())))
        return self.game.expert(state, max(self.turns_left, 1))

    def is_lost(self) -> bool:
        """Return whether no correct formula can be completed within the turns that are left."""
        return max(self.values().values()) <= 0

    @property
    def text_facts(self) -> dict[str, Fact]:
        """The facts of the picture, if the prompt names the cards; every prompt has the formula."""
        return super().text_facts if "cards" in self.prompt.fields else {}

    def demonstrate(self) -> Demonstration | None:
        """State the cards, the formula and the unused numbers; plan a shortest correct formula."""
        self._must_be_reset()
        turns = max(self.turns_left, 1)
        return make_demonstration(self.game, self._state, self._seen_facts["cards"], turns)

    def check_statements(self, fields: Mapping[str, Json]) -> Statements:
        """Compare `cards` and `current formula` with the picture; read the next token of `plan`.

        A reply may name cards by rank or by value, in any order.
        """
        checks: list[bool] = []
        numbers, formula = self._seen_facts["numbers"], self._state.tokens
        assert isinstance(numbers, tuple)
        cards = fields.get(CARDS.name)
        if isinstance(cards, list):
            counts = [self._count(card) for card in cards]
            if None not in counts:
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

    def _count(self, card: Json) -> int | None:
        """Return the value of a card that is named by its value or its rank."""
        number = read_number(card)
        if number in self.game.numbers:
            return int(number)
        rank = read_rank(card)
        return None if rank is None else count_faces(rank, self.game.faces)

    def heuristic(self) -> str:
        """Use the cards in order, with the first operators that reach the target, else sums."""
        numbers = self._seen_facts["numbers"]
        assert isinstance(numbers, tuple)
        cards = [str(number) for number in numbers]
        tries = list(product(self.game.grammar.operators, repeat=len(cards) - 1))
        formulas = [_interleave(cards, operators) for operators in tries]
        target = self._state.aim(self.game.target)
        right = (formula for formula in formulas if evaluate(formula) == target)
        plan, tokens = [*next(right, formulas[0]), END], self._state.tokens
        if list(tokens) != plan[: len(tokens)]:
            return self.expert()  # the formula so far isn't this heuristic's
        return plan[len(tokens)]


def _next_token(plan: str, formula: Sequence[str]) -> str | None:
    """Return the planned token after the formula so far.

    None if the plan isn't a formula, or doesn't start with the formula so far.
    """
    tokens = _TOKEN.findall(plan.partition(END)[0])
    if evaluate(tokens) is None or tokens[: len(formula)] != list(formula):
        return None
    tokens.append(END)
    return tokens[len(formula)] if len(tokens) > len(formula) else None


def _interleave(cards: Sequence[str], operators: Sequence[str]) -> list[str]:
    return [cards[0], *(t for pair in zip(operators, cards[1:], strict=True) for t in pair)]
