"""What the frozen sets of EZPoints and Points24 share: rows of held-out hands, and exact floors."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from vlbench.freeze import RowSpec, presentation
from vlbench.registry import LOOKS
from vlbench.tasks.formula.game import END, FormulaGame, FormulaState
from vlbench.tasks.formula.solver import fewest_tokens


def numbered_rows(suite: str, starts: Sequence[tuple[dict[str, Any], str]]) -> list[RowSpec]:
    """Return a row for each (rules, instance), in the themes of training."""
    return [
        RowSpec({"theme": "train", **rules}, instance, presentation(suite, number))
        for number, (rules, instance) in enumerate(starts)
    ]


def with_kwargs(rows: Sequence[RowSpec], **kwargs: Any) -> list[RowSpec]:
    """Return the rows with changed keyword arguments, in the same presentations."""
    return [replace(row, kwargs=row.kwargs | kwargs) for row in rows]


def game_rules(row: RowSpec) -> dict[str, Any]:
    """Return the keyword arguments of a row's game."""
    return {k: v for k, v in row.kwargs.items() if k not in (*LOOKS, "from_memory")}


def random_success(game: FormulaGame, instance: str) -> float:
    """Return the exact success rate of uniformly random actions of the vocabulary.

    A formula that can't become right any more never succeeds, because nothing is taken back. An
    illegal action uses up a turn.
    """
    size = len(game.vocabulary)

    @cache
    def chance(state: FormulaState, turns: int) -> float:
        shortest = fewest_tokens(state.tokens, state.unused, game.target, game.grammar)
        if shortest is None or shortest + 1 > turns:
            return 0.0
        legal = game.legal(state)
        total = (size - len(legal)) * chance(state, turns - 1)
        for action in legal:
            move = game.step(state, action)
            total += move.success if action == END else chance(move.state, turns - 1)
        return total / size

    return chance(game.start(instance), game.max_turns)
