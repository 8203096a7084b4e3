"""What an expert writes in Points24: a search, and the formula that it ends with.

A search depends on the cards alone, so it ends with the same formula in every turn of an episode.
The fields are those of `vlbench.tasks.formula.demonstrate`.
"""

from collections.abc import Sequence

from vlbench.task import Demonstration, Fact
from vlbench.tasks.formula.demonstrate import make_fields
from vlbench.tasks.points24.worked import work


def make_demonstration(
    cards: Fact, numbers: Sequence[int], target: int, tokens: Sequence[str]
) -> Demonstration | None:
    """State the cards, the formula, a search for the target, and the formula that it finds.

    Args:
        cards: Names of the cards, as they lie.
        numbers: What the cards count.
        target: What the formula must equal.
        tokens: The formula so far.

    Returns:
        None where integers don't lead to the target, or the formula so far isn't the beginning of
        the one that the search finds.
    """
    solution = work(numbers, target)
    if solution is None:
        return None
    actions = solution.actions
    if list(tokens) != actions[: len(tokens)]:
        return None
    fields = make_fields(cards, tokens, solution.search, solution.plan)
    return Demonstration(fields, actions[len(tokens)])
