"""What an expert writes before its action: first what the picture shows, then why.

The fields are those that the prompts ask for, in their order, and short: a small model has to learn
every token of them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from vlbench.game import Game
from vlbench.picture import Fact


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

SEEN = ("current number", "target number", "cards", "dealer card", "player cards")
"""Fields that are read off the picture, and follow from nothing else."""


def number_line(scene: Scene) -> Fields:
    """Both numbers, and how they compare."""
    current, target = scene.facts["current"], scene.facts["target"]
    return {
        "current number": current,
        "target number": target,
        "thoughts": f"{current} {'<' if scene.action == '+' else '>'} {target}",
    }


def formula(scene: Scene) -> Fields | None:
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
    return {
        "cards": scene.facts["cards"],
        "current formula": "".join(scene.state.tokens),
        "thoughts": f"left {left}",
        "plan": "".join(plan),
    }


def blackjack(scene: Scene) -> Fields:
    """All cards, their total, and whether an ace makes it soft."""
    total = scene.facts["player_total"]
    kind = "soft" if scene.facts["usable_ace"] else "hard"
    dealer = scene.facts["dealer_card"]
    return {
        "dealer card": dealer,
        "player cards": scene.facts["player_cards"],
        "player total": total,
        "thoughts": f"{kind} {total} against {dealer}",
    }


THOUGHTS: dict[str, Callable[[Scene], Fields | None]] = {
    "number_line": number_line,
    "ez_points": formula,
    "points24": formula,
    "blackjack": blackjack,
}
"""Game → the fields of an expert's reply before its action; None where an expert has nothing to
teach, since the goal can't be reached any more. A game that isn't here has its action alone."""
