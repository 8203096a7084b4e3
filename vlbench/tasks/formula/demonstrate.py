"""The fields of a reply in EZPoints and Points24, and the expert's demonstration."""

from collections.abc import Sequence

from vlbench.task import Demonstration, Fact, Field
from vlbench.tasks.formula.game import FormulaGame, FormulaState

CARDS = Field("cards", "perception")
FORMULA = Field("current formula", "prompt")
THOUGHTS = Field("thoughts", "reasoning")
PLAN = Field("plan", "plan")
FIELDS = (CARDS, FORMULA, THOUGHTS, PLAN)


def make_fields(cards: Fact, tokens: Sequence[str], thoughts: str, plan: str) -> dict[str, Fact]:
    """Return the fields of a reply.

    Args:
        cards: Names of the cards, in the order shown.
        tokens: The formula so far.
        thoughts: The reasoning behind the plan.
        plan: The whole formula to write.
    """
    return {
        CARDS.name: cards,
        FORMULA.name: "".join(tokens),
        THOUGHTS.name: thoughts,
        PLAN.name: plan,
    }


def make_demonstration(
    game: FormulaGame, state: FormulaState, cards: Fact, turns: int
) -> Demonstration | None:
    """Return the cards, the formula, the unused numbers and a shortest correct formula.

    Args:
        game: The rules.
        state: A state that hasn't terminated.
        cards: Names of the cards, in the order shown.
        turns: Turns that remain, at least 1.

    Returns:
        None if no correct formula can be completed in these turns.
    """
    plan = list(state.tokens)
    future, remaining = state, turns
    while True:
        token = game.expert(future, remaining)
        if game.values(future, remaining)[token] <= 0:
            return None
        move = game.step(future, token)
        if move.terminated:
            break
        plan.append(token)
        future, remaining = move.state, remaining - 1
    unused = " ".join(map(str, state.unused)) or "none"
    fields = make_fields(cards, state.tokens, f"left {unused}", "".join(plan))
    return Demonstration(fields, game.expert(state, turns))
