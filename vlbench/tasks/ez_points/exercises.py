"""Text-only exercises that teach a language model to plan EZPoints' formulas.

Few hands are dealt in training, so that a model learns which formula goes with which hand. An
exercise has two numbers, on cards or not, and a target that one operator makes of them.
"""

from collections.abc import Iterator

import numpy as np

from vlbench.cards import MAX_FACES, count_faces
from vlbench.dealing import belongs
from vlbench.exercises import Exercise, draw_usable
from vlbench.instances import Share
from vlbench.task import checked_int
from vlbench.tasks.ez_points.any_target import AnyTargetGame, operator_results
from vlbench.tasks.ez_points.game import checked_operators
from vlbench.tasks.formula.arithmetic import Cards
from vlbench.tasks.formula.exercises import draw_card, make_exercise
from vlbench.tasks.formula.game import END, faces_rule

MOST = 1_000
"""Most that a jack may count."""
LARGEST_CARD = MAX_FACES + 2
"""What a king counts at most."""


def write_exercises(
    rng: np.random.Generator,
    *,
    operators: str = "+*",
    largest: int = 40,
    faces: int = 0,
    share: str = "",
) -> Iterator[Exercise]:
    """Return turns on the way to formulas of two numbers, without end.

    Args:
        rng: The source of all draws; the caller owns it.
        operators: The operators: some of "+-*/", in any order.
        largest: Largest number, at least 2. A number may be one that no card has.
        faces: What a jack counts at most, 10 to 1,000: exercises draw a value of a jack and say
            what J, Q and K count, and a number is a face in one draw of two. 0: J, Q and K count
            10, and exercises don't say it.
        share: "I/N" to use, of the training instances, only share I of N; "" for all. No
            instance of the splits `val` and `test` is used.

    Raises:
        ValueError: An option is wrong.
    """
    checked_operators(operators)
    checked_int("largest", largest, 2)
    if checked_int("faces", faces, 0) > MOST or 0 < faces < 10:
        raise ValueError(f"faces must be 0, or from 10 to {MOST}, got {faces}")
    return _exercises(rng, operators, largest, faces, Share.parse(share) if share else None)


def _exercises(
    rng: np.random.Generator, operators: str, largest: int, faces: int, share: Share | None
) -> Iterator[Exercise]:
    game = AnyTargetGame()

    def draw() -> Exercise | None:
        jack = int(rng.integers(10, faces + 1)) if faces else 0
        small, large = sorted(_draw_number(rng, largest, jack) for _ in range(2))
        results = operator_results((small, large))
        possible = [operator for operator in operators if results.get(operator)]
        if not possible:
            return None
        operator = str(rng.choice(possible))
        target = results[operator]
        unit = f"{game.name}/{small}-{large}-{target}"
        if large <= LARGEST_CARD and not belongs(game, unit, "train", share):
            return None
        first = next(name for name in possible if results[name] == target)
        return _exercise(rng, (small, large), first, target, jack)

    while True:
        yield draw_usable(draw)


def _draw_number(rng: np.random.Generator, largest: int, jack: int) -> int:
    if jack and rng.random() < 0.5:
        return count_faces(int(rng.integers(11, 14)), jack)
    return int(rng.integers(1, largest + 1))


def _exercise(
    rng: np.random.Generator, hand: Cards, operator: str, target: int, jack: int
) -> Exercise:
    """Return a turn on the way to a formula, whose numbers stand in the expert's order."""
    numbers = hand if operator in "+*" else hand[::-1]
    actions = (str(numbers[0]), operator, str(numbers[1]), END)
    place = int(rng.integers(len(actions)))
    unused = sorted(numbers[(place + 1) // 2 :])
    thoughts = f"left {' '.join(map(str, unused)) or 'none'}"
    cards = [draw_card(rng, hand[i], jack or 10) for i in rng.permutation(2)]
    rule = faces_rule(jack) if jack else ""
    return make_exercise(target, cards, actions, place, thoughts, "".join(actions[:-1]), rule)
