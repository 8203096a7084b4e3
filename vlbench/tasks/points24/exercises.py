"""Text-only exercises that teach a language model the search of Points24's expert.

A small language model needs more practice than there are hands, and should judge every three
numbers often. A problem is a hand, or four numbers built backwards: take three numbers that a hand
can lead to and split one into two. Its answer is one turn on the way to the formula that the search
finds. A drill is a list of single steps to compute and judge. No problem or step uses a hand of the
splits `val` and `test`, whatever J, Q and K count.
"""

from collections.abc import Iterator
from functools import cache
from itertools import count

import numpy as np

from vlbench.cards import MAX_FACES
from vlbench.dealing import belongs
from vlbench.exercises import Exercise, checked_fraction, draw_usable
from vlbench.instances import Share
from vlbench.task import checked_int
from vlbench.tasks.formula.arithmetic import hands
from vlbench.tasks.formula.exercises import draw_card, make_exercise
from vlbench.tasks.points24.game import Points24Game
from vlbench.tasks.points24.worked import LARGEST, Numbers, judge_step, list_numbers, steps, work

MAX_LINES = 10_000
"""Most steps in a drill."""


def write_exercises(
    rng: np.random.Generator,
    *,
    drills: float = 0.5,
    lines: int = 12,
    backwards: float = 0.5,
    target: int = 24,
    share: str = "",
) -> Iterator[Exercise]:
    """Return problems, and drills of their single steps, without end.

    Args:
        rng: The source of all draws; the caller owns it.
        drills: Share of drills, 0..1.
        lines: Steps in a drill, 1..10,000.
        backwards: Share of problems built backwards from three numbers, 0..1.
        target: Target of the problems, 1..100.
        share: "I/N" to use, of the training instances, only share I of N; "" for all.

    Raises:
        ValueError: An option is out of range.
    """
    checked_fraction("drills", drills)
    checked_fraction("backwards", backwards)
    if checked_int("lines", lines, 1) > MAX_LINES:
        raise ValueError(f"lines must be from 1 to {MAX_LINES}, got {lines}")
    if checked_int("target", target, 1) > LARGEST:
        raise ValueError(f"target must be from 1 to {LARGEST}, got {target}")
    own = Share.parse(share) if share else None
    return _exercises(rng, drills, lines, backwards, target, own)


def _exercises(
    rng: np.random.Generator,
    drills: float,
    lines: int,
    backwards: float,
    target: int,
    share: Share | None,
) -> Iterator[Exercise]:
    generator = _Generator(rng, target, lines, backwards, share)
    for place in count():
        is_drill = int((place + 1) * drills) > int(place * drills)
        yield generator.drill() if is_drill else generator.problem()


class _Generator:
    """Draws problems and drills at random."""

    def __init__(
        self,
        rng: np.random.Generator,
        target: int,
        lines: int,
        backwards: float,
        share: Share | None,
    ) -> None:
        game = Points24Game(target, 10)
        every = [tuple(hand) for hand in hands(4, game.numbers)]
        self._rng = rng
        self._share = share
        self._target = target
        self._lines = lines
        self._backwards = backwards
        self._hands = [hand for hand in every if not _is_held_out(hand, share)]
        self._triples = sorted({step.rest for hand in every for step in steps(hand)})

    def problem(self) -> Exercise:
        """Return a problem and one turn of its solution."""
        return draw_usable(self._problem)

    def _problem(self) -> Exercise | None:
        if self._rng.random() < self._backwards:
            numbers = self._split_triple()[0]
        elif not self._hands:
            return None
        else:
            numbers = self._hands[self._rng.integers(len(self._hands))]
        order = [numbers[i] for i in self._rng.permutation(len(numbers))]
        solution = work(order, self._target)
        if not solution:
            return None
        cards = tuple(draw_card(self._rng, number) for number in order)
        actions = solution.actions
        place = int(self._rng.integers(len(actions)))
        return make_exercise(self._target, cards, actions, place, solution.search, solution.plan)

    def drill(self) -> Exercise:
        """Return a list of steps with their results and verdicts."""
        questions, answers = [], []
        for _ in range(self._lines):
            numbers, triple = self._split_triple()
            step = next(step for step in steps(numbers) if step.rest == triple)
            others = list(numbers)
            others.remove(step.left)
            others.remove(step.right)
            questions.append(f"{step.left} {step.operator} {step.right}, {list_numbers(others)}")
            answers.append(judge_step(step, self._target))
        return Exercise("; ".join(questions), "; ".join(answers))

    def _split_triple(self) -> tuple[Numbers, Numbers]:
        """Return four sorted numbers, and three numbers that one step makes from them."""
        while True:
            triple = self._triples[self._rng.integers(len(self._triples))]
            place = int(self._rng.integers(3))
            result, rest = triple[place], [*triple[:place], *triple[place + 1 :]]
            pairs = [(a, result - a) for a in range(1, result // 2 + 1)]
            pairs += [(result + b, b) for b in range(1, 11)]
            pairs += [(result * b, b) for b in range(2, 11) if 0 < result * b <= LARGEST]
            pairs += [(a, result // a) for a in range(1, 11) if result and result % a == 0] * 4
            # Prefer pairs of card-sized numbers.
            small = [pair for pair in pairs if max(pair) <= 10]
            if small and self._rng.random() < 0.8:
                pairs = small
            numbers = tuple(sorted((*rest, *pairs[self._rng.integers(len(pairs))])))
            if numbers[-1] <= LARGEST and not _is_held_out(numbers, self._share):
                return numbers, triple


@cache
def _is_held_out(numbers: Numbers, share: Share | None) -> bool:
    """Return whether four sorted numbers are a hand of `val` or `test`, or of another share."""
    name = f"points24/{'-'.join(map(str, numbers))}"
    return numbers[-1] <= MAX_FACES + 2 and not belongs(Points24Game(), name, "train", share)
