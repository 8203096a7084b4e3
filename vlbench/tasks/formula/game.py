"""The rules that EZPoints and Points24 share: write a formula, one token a turn."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from vlbench.cards import MAX_FACES, count_faces
from vlbench.task import Move, checked_int, instance_body
from vlbench.tasks.formula.arithmetic import Cards, Grammar, evaluate
from vlbench.tasks.formula.solver import UNREACHABLE, fewest_tokens

END = "="


@dataclass(frozen=True, slots=True)
class FormulaState:
    """A hand and the formula so far."""

    hand: Cards
    """Card values, sorted."""
    tokens: tuple[str, ...]
    unused: Cards
    """Card values that aren't in the formula yet, sorted."""

    def after(self, tokens: tuple[str, ...], unused: Cards) -> "FormulaState":
        """Return the state of the same hand with another formula."""
        return FormulaState(self.hand, tokens, unused)

    def aim(self, usual: int) -> int:
        """Return the target of this state, which is the rules' unless the state names one."""
        return usual


@lru_cache(maxsize=4096)
def legal_tokens(vocabulary: tuple[str, ...], unused: Cards) -> tuple[str, ...]:
    """Return the vocabulary without the numbers that aren't on an unused card."""
    return tuple(t for t in vocabulary if not t.isdecimal() or int(t) in unused)


@lru_cache(maxsize=4096)
def read_hand(body: str) -> Cards:
    """Return the sorted numbers of e.g. "8-3-8-3"; () if a part isn't a number below 1000."""
    parts = body.split("-")
    if not all(part.isdecimal() and len(part) < 4 for part in parts):
        return ()
    return tuple(sorted(map(int, parts)))


def faces_rule(faces: int) -> str:
    """Return the prompt's words on what J, Q and K count; see `count_faces`."""
    if faces == 10:
        return "J, Q and K count 10 each"
    jack, queen, king = (count_faces(rank, faces) for rank in (11, 12, 13))
    return f"J counts {jack}, Q counts {queen} and K counts {king}"


class FormulaGame:
    """Write a formula that uses each card once and equals the target.

    Only a number that isn't on an unused card is illegal. Any other token is appended, and an
    ill-formed formula is judged at "=".

    Args:
        name: Folder name, prefix of the instances.
        cards: Number of cards in a hand.
        target: What the formula must equal.
        faces: 10 when J, Q, K count 10 each; 11..20 when J counts this, Q and K one and two more.
        grammar: The tokens besides numbers and "=".
        max_turns: Turns of an episode.

    Raises:
        ValueError: `target` isn't an integer of at least 1, or `faces` isn't one of 10..20.
    """

    example: str
    """A valid instance under the default rules, for messages."""

    def __init__(
        self, name: str, cards: int, target: int, faces: int, grammar: Grammar, max_turns: int
    ) -> None:
        if checked_int("faces", faces, 10) > MAX_FACES:
            raise ValueError(
                f"faces must be 10 (J, Q, K count 10) or from 11 to {MAX_FACES} (J counts this, Q "
                f"and K one and two more), got {faces}"
            )
        self.name = name
        self.cards = cards
        self.target = checked_int("target", target, 1)
        self.faces = faces
        self.grammar = grammar
        self.max_turns = max_turns
        self.numbers = tuple(sorted({count_faces(rank, faces) for rank in range(1, 14)}))
        parentheses = ("(", ")") if grammar.parentheses else ()
        self.vocabulary = (*map(str, self.numbers), *grammar.operators, *parentheses, END)

    def rules(self) -> dict[str, str | int]:
        """Return the rules, as the prompt's template fields."""
        return {
            "target": self.target,
            "faces_rule": faces_rule(self.faces),
            "vocabulary": ", ".join(f'"{token}"' for token in self.vocabulary),
        }

    def solvable(self, hand: Cards) -> bool:
        """Whether a formula that uses each card once equals the target."""
        return fewest_tokens((), hand, self.target, self.grammar) is not None

    def start(self, instance: str) -> FormulaState:
        """Read "<name>/<number>-<number>…", the sorted values of a solvable hand.

        Raises:
            ValueError: The hand isn't canonical, has the wrong size, or can't reach the target.
        """
        body = instance_body(instance, self.name, self.example)
        hand = read_hand(body)
        if len(hand) != self.cards or not set(hand) <= set(self.numbers):
            values = f"from 1 to {self.numbers[-1]}" if self.faces < 12 else self._card_values()
            raise ValueError(
                f'unknown instance "{instance}"; wanted "{self.name}/" and {self.cards} numbers '
                f'{values}, sorted and joined by "-", like "{self.example}"'
            )
        canonical = "-".join(map(str, hand))
        if canonical != body:
            raise ValueError(
                f'unknown instance "{instance}"; did you mean "{self.name}/{canonical}"?'
            )
        if not self.solvable(hand):
            raise ValueError(
                f'instance "{instance}" has no solution: no formula with these cards equals '
                f'{self.target}; choose another hand, like "{self.example}" for the default target'
            )
        return self.first_state(hand, self.target)

    def first_state(self, hand: Cards, target: int) -> FormulaState:
        """Return the first state of sorted numbers; the target is the rules' own."""
        return FormulaState(hand, (), hand)

    def _card_values(self) -> str:
        return f"from 1 to 10 or {self.faces} to {self.numbers[-1]}"

    def legal(self, state: FormulaState) -> tuple[str, ...]:
        """Return every token but the numbers that aren't on an unused card."""
        return legal_tokens(self.vocabulary, state.unused)

    def step(self, state: FormulaState, action: str) -> Move[FormulaState]:
        """Append a token (0), or end with "=": +10 for a correct formula, else −1."""
        if action == END:
            right = not state.unused and evaluate(state.tokens) == state.aim(self.target)
            return Move(state, 10.0 if right else -1.0, terminated=True, success=right)
        unused = state.unused
        if action.isdecimal():
            index = unused.index(int(action))
            unused = unused[:index] + unused[index + 1 :]
        return Move(state.after((*state.tokens, action), unused), 0.0)

    def values(self, state: FormulaState, turns: int) -> Mapping[str, float]:
        """Return 10 if a correct formula can still be completed; −1 for a wrong "="; else 0.

        A formula that can't be completed is worth 0: appending operators until truncation is free.
        """
        return {
            action: (10.0 if distance <= turns else -1.0 if action == END else 0.0)
            for action, distance in self._distances(state).items()
        }

    def expert(self, state: FormulaState, turns: int) -> str:
        """Return the first token of a shortest correct completion; "+" if there is none."""
        distances = self._distances(state)
        best = min(distances, key=lambda action: distances[action])
        return best if distances[best] <= turns else "+"

    def _distances(self, state: FormulaState) -> dict[str, int]:
        """Return for each legal action the number of actions to a correct "=", itself included."""
        distances, target = {}, state.aim(self.target)
        for action in self.legal(state):
            move = self.step(state, action)
            if action == END:
                distances[action] = 1 if move.success else UNREACHABLE
                continue
            after = move.state
            remaining = fewest_tokens(after.tokens, after.unused, target, self.grammar)
            distances[action] = UNREACHABLE if remaining is None else remaining + 2
        return distances
