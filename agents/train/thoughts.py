"""What an expert writes before its action: first what the picture shows, then why.

The fields are those that the prompts ask for, in their order, and short: a small model has to learn
every token of them.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from agents.train.alfworld_thoughts import household
from agents.train.search import work
from vlbench.task import Fact, Game
from vlbench.tasks.alfworld.game import AlfworldGame


@dataclass(frozen=True, slots=True)
class Scene:
    """A state with all that an expert may know of it."""

    game: Game[Any]
    state: Any
    facts: Mapping[str, Fact]
    """What the picture shows."""
    turns_left: int

    @property
    def action(self) -> str:
        """The expert's action."""
        return self.game.expert(self.state, self.turns_left)


Fields = dict[str, Any]

SEEN = (
    "current number",
    "target number",
    "cards",
    "dealer card",
    "player cards",
    "location",
    "holding",
)
"""Fields that are read off the picture, and follow from nothing else; they come first."""
_JSON = json.JSONDecoder()


_FIELD = re.compile(r'[\s,{]*("(?:[^"\\]|\\.)*")\s*:\s*')
"""What stands before a field's value."""


def span_of_thoughts(reply: str) -> slice:
    """Return the characters between what a reply says of the picture and its action.

    Of a reply without fields that is all of it.
    """
    start, place = 0, max(reply.find("{"), 0)
    while field := _FIELD.match(reply, place):
        if field[1] == '"action"':
            return slice(start, field.start(1))
        try:
            _, place = _JSON.raw_decode(reply, field.end())
        except ValueError:
            break
        if json.loads(field[1]) in SEEN:
            start = place
    return slice(start, len(reply))


@dataclass(frozen=True, slots=True)
class Thought:
    """What an expert writes."""

    fields: Fields
    """What stands before the action."""
    action: str
    """A return-optimal action, and the one that the fields argue for."""


def number_line(scene: Scene) -> Thought:
    """Both numbers, and how they compare."""
    current, target = scene.facts["current"], scene.facts["target"]
    fields = {
        "current number": current,
        "target number": target,
        "thoughts": f"{current} {'<' if scene.action == '+' else '>'} {target}",
    }
    return Thought(fields, scene.action)


def formula(scene: Scene) -> Thought | None:
    """The cards, the formula so far, the numbers left, and the formula that is planned."""
    plan = list(scene.state.tokens)
    state, turns = scene.state, scene.turns_left
    while True:
        token = scene.game.expert(state, turns)
        if scene.game.values(state, turns)[token] <= 0:
            return None
        move = scene.game.step(state, token)
        if move.terminated:
            break
        plan.append(token)
        state, turns = move.state, turns - 1
    left = " ".join(map(str, scene.state.unused)) or "none"
    fields = {
        "cards": scene.facts["cards"],
        "current formula": "".join(scene.state.tokens),
        "thoughts": f"left {left}",
        "plan": "".join(plan),
    }
    return Thought(fields, scene.action)


def search(scene: Scene) -> Thought | None:
    """The cards, the formula so far, a search, and the formula that it ends with.

    The search depends on the cards alone, so that it ends with the same formula in every turn.
    """
    numbers, target, tokens = scene.facts["numbers"], scene.facts["target"], scene.state.tokens
    assert isinstance(numbers, tuple) and isinstance(target, int)
    worked = work([int(number) for number in numbers], target)
    if worked is None:
        return None
    planned = worked.actions
    if list(tokens) != planned[: len(tokens)]:
        return None
    fields = {
        "cards": scene.facts["cards"],
        "current formula": "".join(tokens),
        "thoughts": worked.search,
        "plan": worked.plan,
    }
    return Thought(fields, planned[len(tokens)])


def blackjack(scene: Scene) -> Thought:
    """All cards, their sum with every ace as 1, and what that makes against the dealer."""
    total, dealer = scene.facts["player_total"], scene.facts["dealer_card"]
    counts = [min(rank, 10) for rank in scene.state.player]
    sums = list(accumulate(counts))
    steps = zip(sums, counts[1:], sums[1:], strict=False)
    added = ", ".join(f"{before} + {count} = {after}" for before, count, after in steps)
    kind = "soft" if scene.facts["usable_ace"] else "hard"
    fields = {
        "dealer card": dealer,
        "player cards": scene.facts["player_cards"],
        "thoughts": f"{added}, {kind} {total} against {dealer}",
        "player total": total,
    }
    return Thought(fields, scene.action)


def alfworld(scene: Scene) -> Thought | None:
    """Where one stands, what one holds and sees, and what is next."""
    assert isinstance(scene.game, AlfworldGame)
    written = household(scene.game, scene.state, scene.facts, scene.turns_left)
    return Thought(*written) if written else None


THOUGHTS: dict[str, Callable[[Scene], Thought | None]] = {
    "number_line": number_line,
    "ez_points": formula,
    "points24": search,
    "blackjack": blackjack,
    "alfworld": alfworld,
}
"""Game → what its expert writes; None where an expert has nothing to teach, since the goal can't be
reached any more, or not by what it has planned. A game that isn't here has its action alone."""
