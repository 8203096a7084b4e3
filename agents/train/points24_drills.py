"""Worked problems, as text: `python -m agents.train.points24_drills --out problems.jsonl`.

Points24's thoughts write a search down (see `agents.train.search`), and a small language model has
to practise it on more than there are hands. Problems are hands, or are made backwards from three
numbers that a hand can come to, one of which is taken apart into two. They are answered as the
turns of an episode are, somewhere on the way to the planned formula. Drills are single steps
without the problem around them, so that every three numbers are judged often. There are no
pictures, and no problem or step is of a hand of the test split.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agents.train import sft_data
from agents.train.config_cli import parse_dataclass
from agents.train.search import LARGEST, Numbers, listed, steps, work, worked_step
from vlbench.cli import refuse
from vlbench.instances import split_of
from vlbench.tasks.formula.arithmetic import hands
from vlbench.tasks.points24.game import Points24Game


@dataclass(frozen=True)
class Config:
    """Options of `problems`."""

    out: Path
    """JSONL file to write"""
    count: int = 60_000
    """problems and drills"""
    drills: float = 0.5
    """share of drills"""
    lines: int = 12
    """steps in a drill"""
    made: float = 0.5
    """share of problems that are made backwards from three numbers"""
    target: int = 24
    """what every problem aims at"""
    seed: int = 0
    """seed of the problems"""


class Problems:
    """Draws problems and drills; none is of a test hand.

    Args:
        config: What is drawn.
    """

    def __init__(self, config: Config) -> None:
        game = Points24Game(config.target, 10)
        every = [tuple(hand) for hand in hands(4, game.numbers)]
        self._config = config
        self._rng = np.random.default_rng(config.seed)
        self._hidden = {hand for hand in every if _split(hand, game) == "test"}
        self._hands = [hand for hand in every if hand not in self._hidden]
        self._triples = sorted({step.rest for hand in every for step in steps(hand)})

    def problem(self) -> sft_data.Example:
        """Return a problem and how it is worked."""
        while True:
            if self._rng.random() < self._config.made:
                numbers = self._apart()[0]
            else:
                numbers = self._hands[self._rng.integers(len(self._hands))]
            lying = [numbers[i] for i in self._rng.permutation(len(numbers))]
            if worked := work(lying, self._config.target):
                cards = [self._card(number) for number in lying]
                actions = worked.actions
                place = int(self._rng.integers(len(actions)))
                formula = "".join(actions[:place])
                reply = {
                    "cards": cards,
                    "current formula": formula,
                    "thoughts": worked.search,
                    "plan": worked.plan,
                    "action": actions[place],
                }
                posed = f"{self._config.target}: {json.dumps(cards)} {formula}".rstrip()
                return _example(posed, json.dumps(reply))

    def drill(self) -> sft_data.Example:
        """Return steps to be made and judged, and how that is done."""
        posed, made = [], []
        for _ in range(self._config.lines):
            numbers, triple = self._apart()
            step = next(step for step in steps(numbers) if step.rest == triple)
            left = list(numbers)
            left.remove(step.left)
            left.remove(step.right)
            posed.append(f"{step.left} {step.operator} {step.right}, {listed(left)}")
            made.append(worked_step(step, self._config.target))
        return _example("; ".join(posed), "; ".join(made))

    def _card(self, number: int) -> str:
        """Return a card that counts as a number, as replies name it; a larger number as it is."""
        cards = {1: ["A"], 10: ["10", "J", "Q", "K"]}.get(number, [str(number)])
        return str(self._rng.choice(cards))

    def _apart(self) -> tuple[Numbers, Numbers]:
        """Return four sorted numbers, and the three that a step makes of them."""
        while True:
            triple = self._triples[self._rng.integers(len(self._triples))]
            place = int(self._rng.integers(3))
            result, rest = triple[place], [*triple[:place], *triple[place + 1 :]]
            pairs = [(a, result - a) for a in range(1, result // 2 + 1)]
            pairs += [(result + b, b) for b in range(1, 11)]
            pairs += [(result * b, b) for b in range(2, 11) if 0 < result * b <= LARGEST]
            pairs += [(a, result // a) for a in range(1, 11) if result and result % a == 0] * 4
            # Mostly pairs such as cards are.
            usual = [pair for pair in pairs if max(pair) <= 10]
            if usual and self._rng.random() < 0.8:
                pairs = usual
            numbers = tuple(sorted((*rest, *pairs[self._rng.integers(len(pairs))])))
            if numbers not in self._hidden and numbers[-1] <= LARGEST:
                return numbers, triple


def examples(config: Config) -> Iterator[sft_data.Example]:
    """Yield problems and drills."""
    problems = Problems(config)
    for place in range(config.count):
        drilled = int((place + 1) * config.drills) > int(place * config.drills)
        yield problems.drill() if drilled else problems.problem()


def _split(hand: Numbers, game: Points24Game) -> str:
    return split_of(f"points24/{'-'.join(map(str, hand))}", game.test_share)


def _example(prompt: str, reply: str) -> sft_data.Example:
    return sft_data.Example(
        env_id="",
        kwargs="{}",
        instance="",
        presentation=0,
        played=[],
        action="",
        expert="",
        prompt=prompt,
        reply=reply,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Write the file; exit 0 when done, 2 on a wrong call."""
    try:
        argv = sys.argv[1:] if argv is None else argv
        prog = "python -m agents.train.points24_drills"
        config = parse_dataclass(Config, argv, prog=prog, description=__doc__ or "")
        written = sft_data.write(config.out, examples(config))
        print(f"{written} problems and drills in {config.out}")
    except (ValueError, OSError) as error:
        return refuse("problems", error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
