"""NumberLine by what was read."""

import re
from collections.abc import Sequence

from agents.players.ocr.play import UNREAD, Play
from agents.players.ocr.words import Word
from vlbench.task import Fact
from vlbench.tasks.number_line.demonstrate import CURRENT, TARGET, THOUGHTS
from vlbench.tasks.number_line.game import NumberLineGame, NumberLineState

ENV_IDS = ("vlbench/NumberLine-v0",)
"""The environments that it plays."""

LOOKS_LIKE = str.maketrans("OoQDIl|SsB", "0000111558")
"""Letters that digits are read as."""


def play(words: Sequence[Word], prompt: str) -> Play:
    """Step towards the target; "+" where a number can't be read."""
    game = read_rules(prompt)
    current, target = (_number(words, label) for label in ("Current", "Target"))
    facts: dict[str, Fact] = {
        "current": UNREAD if current is None else current,
        "target": UNREAD if target is None else target,
    }
    fields = {CURRENT.name: facts["current"], TARGET.name: facts["target"]}
    if current is None or target is None or current == target:
        lost = max((current is None) + (target is None), 1)
        fields[THOUGHTS.name] = "a number can't be read, so this is a guess"
        return Play("+", facts, fields, lost)
    state = NumberLineState(current, target)
    fields[THOUGHTS.name] = f"the solver for {current} read as current and {target} as target"
    return Play(game.expert(state, game.max_turns), facts, fields, 0)


def read_rules(prompt: str) -> NumberLineGame:
    """Return the game that a prompt describes."""
    last = re.search(r"line from 0 to (\d+)", prompt)
    return NumberLineGame(
        int(last[1]) if last else 5,
        reversed_signs='"+" (subtract' in prompt,
        ring="is a ring" in prompt,
    )


def _number(words: Sequence[Word], label: str) -> int | None:
    """Return the number beside a label, else the nearest one under it."""
    for word in words:
        head, found, rest = word.text.partition(label)
        if not found:
            continue
        if (number := _digits(rest)) is not None:
            return number
        beside = [
            other
            for other in words
            if other.left > word.left and abs(other.middle - word.middle) < word.height / 2
        ]
        under = [
            other
            for other in words
            if other.left < word.right and 0 < other.middle - word.middle < 3 * word.height
        ]
        for other in (*beside, *under):
            if (number := _digits(other.text)) is not None:
                return number
    return None


def _digits(text: str) -> int | None:
    digits = text.strip(" :;.").translate(LOOKS_LIKE).replace(" ", "")
    return int(digits) if re.fullmatch(r"[0-9]{1,9}", digits) else None
