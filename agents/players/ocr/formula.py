"""EZPoints and Points24 by what was read."""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import combinations_with_replacement

from agents.players.ocr.cards import find_cards
from agents.players.ocr.play import UNREAD, Play
from agents.players.ocr.words import Word
from vlbench.cards import count_faces, rank_text
from vlbench.task import Fact
from vlbench.tasks.formula.arithmetic import OPERATORS, Grammar
from vlbench.tasks.formula.demonstrate import PLAN, make_demonstration, make_fields
from vlbench.tasks.formula.game import FormulaGame, FormulaState

ENV_IDS = ("vlbench/EZPoints-v0", "vlbench/Points24-v0")
"""The environments that it plays."""

WIDTHS = {2: 135, 4: 67}
"""Number of cards → width of a card in pixels."""
TURNS = {2: 7, 4: 22}
"""Number of cards → turns of an episode."""
COUNTS = {"two": 2, "four": 4}


def play(words: Sequence[Word], prompt: str) -> Play:
    """Write a shortest formula for the cards that were read.

    A number in the formula so far stands on a card, whatever was read. Cards that are still missing
    are supposed to be the smallest with which the target can be reached.
    """
    game, tokens = read_rules(prompt), read_formula(prompt)
    known = Counter(int(token) for token in tokens if token.isdecimal())
    cards = find_cards(_outside_formula(words, tokens), WIDTHS[game.cards])
    read = [(count_faces(card.rank, game.faces), card) for card in cards]
    missing = known - Counter(number for number, _ in read)
    surest = sorted(read, key=lambda pair: (pair[0] not in known, -pair[1].weight))
    likeliest = [card for _, card in surest[: max(game.cards - missing.total(), 0)]]
    names = [rank_text(card.rank) for card in cards if card in likeliest]
    names += map(str, missing.elements())
    numbers = [count_faces(card.rank, game.faces) for card in likeliest] + list(missing.elements())
    lost = game.cards - len(names)
    facts: dict[str, Fact] = {
        "cards": (*names, *([UNREAD] * lost)),
        "numbers": tuple(sorted(numbers)),
        "formula": " ".join(tokens),
        "target": game.target,
    }
    state = _state(game, tuple(sorted(numbers)), tokens)
    demonstration = (
        make_demonstration(game, state, facts["cards"], game.max_turns) if state else None
    )
    if not demonstration:
        thoughts = "no formula is known for the cards read, so this is a guess"
        fields = make_fields(facts["cards"], tokens, thoughts, "")
        return Play(game.grammar.operators[0], facts, fields, max(lost, 1))
    thoughts = f"the solver for {' '.join(names)} read"
    if lost:
        thoughts += f", {lost} of {game.cards} cards supposed, so this is a guess"
    plan = str(demonstration.fields[PLAN.name])
    fields = make_fields(facts["cards"], tokens, thoughts, plan)
    return Play(demonstration.action, facts, fields, lost)


def read_rules(prompt: str) -> FormulaGame:
    """Return the game that a prompt describes."""
    count = next((COUNTS[name] for name in COUNTS if f"{name} cards" in prompt), 2)
    target = re.search(r"equals (\d+)", prompt)
    faces = re.search(r"J counts (\d+)", prompt)
    tokens = set(re.findall(r'"([^"\s]+)"', prompt.partition("choose between")[2].split(".")[0]))
    grammar = Grammar("".join(o for o in OPERATORS if o in tokens), "(" in tokens)
    return FormulaGame(
        "formula",
        count,
        int(target[1]) if target else 1,
        int(faces[1]) if faces else 10,
        grammar,
        TURNS[count],
    )


def read_formula(prompt: str) -> tuple[str, ...]:
    """Return the tokens of the formula that a prompt states."""
    stated = re.search(r'current formula is "([^"]*)"', prompt)
    return tuple(stated[1].split()) if stated else ()


def _outside_formula(words: Sequence[Word], tokens: Sequence[str]) -> list[Word]:
    """Return the words without the labels and the formula, whose length the prompt tells."""
    label = next((word for word in words if "ormula" in word.text), None)
    rest = [word for word in words if "ormula" not in word.text]
    target = next((word for word in rest if "arget" in word.text), None)
    if target is not None:
        rest = [word for word in rest if abs(word.middle - target.middle) > target.height / 2]
    if label is None:
        return rest
    written = len(label.text.partition(":")[2].replace(" ", ""))
    bottom = label.bottom
    for word in rest.copy():
        line = word.left > label.left - label.height and word.middle > label.top
        near = word.top < bottom + label.height and word.height < 1.6 * label.height
        if written < len("".join(tokens)) and line and near:
            rest.remove(word)
            written += len(word.text.replace(" ", ""))
            bottom = max(bottom, word.bottom)
    return rest


def _state(
    game: FormulaGame, numbers: tuple[int, ...], tokens: tuple[str, ...]
) -> FormulaState | None:
    """Return the state, with missing cards supposed; None if none of these can be right."""
    used = Counter(int(token) for token in tokens if token.isdecimal())
    for supposed in combinations_with_replacement(game.numbers, game.cards - len(numbers)):
        hand = tuple(sorted(numbers + supposed))
        unused = tuple(sorted((Counter(hand) - used).elements()))
        state = FormulaState(hand, tokens, unused)
        if game.values(state, game.max_turns)[game.expert(state, game.max_turns)] > 0:
            return state
    return None
