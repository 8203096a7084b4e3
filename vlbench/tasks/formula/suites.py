"""What the frozen sets of EZPoints and Points24 share: rows of held-out hands, and exact floors."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from statistics import fmean
from typing import Any

from vlbench.freeze import RowSpec, presentation
from vlbench.registry import LOOKS
from vlbench.suites import Bounds
from vlbench.tasks.formula.game import FormulaGame
from vlbench.tasks.formula.solver import random_success


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


def exact_bounds(games: Iterable[tuple[FormulaGame, str]]) -> Bounds:
    """Return random play's exact success rate on (game, instance) pairs, and 1."""
    return Bounds(fmean(_random_success(game, instance) for game, instance in games), 1.0)


def _random_success(game: FormulaGame, instance: str) -> float:
    start = game.start(instance)
    target = start.aim(game.target)
    return _chance(start.hand, target, game.grammar, game.vocabulary, game.max_turns)


_chance = cache(random_success)
