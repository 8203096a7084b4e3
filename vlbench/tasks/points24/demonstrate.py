"""The expert's demonstration in Points24: a written search and the formula it finds.

The search depends only on the cards, so it finds the same formula in every turn of an episode. The
fields are defined in `vlbench.tasks.formula.demonstrate`.
"""

from collections.abc import Sequence

from vlbench.task import Demonstration, Fact
from vlbench.tasks.formula.demonstrate import make_fields
from vlbench.tasks.points24.worked import work


def make_demonstration(
    cards: Fact, numbers: Sequence[int], target: int, tokens: Sequence[str]
) -> Demonstration | None:
    """Return the cards, the formula so far, a search, the formula it finds and the next token.

    Args:
        cards: Names of the cards, in the order shown.
        numbers: Their values.
        target: What the formula must equal.
        tokens: The formula so far.

    Returns:
        None if integer steps don't reach the target, or the formula so far isn't a prefix of the
        one that the search finds.
    """
    solution = work(numbers, target)
    if solution is None:
        return None
    actions = solution.actions
    if list(tokens) != actions[: len(tokens)]:
        return None
    fields = make_fields(cards, tokens, solution.search, solution.plan)
    return Demonstration(fields, actions[len(tokens)])
