"""Scripted players with one sense: the picture or the text. They are the controls of each suite.

Both decide like the expert, but know of the state only what their sense tells them, and what they
themselves did before. What the first loses with a blank picture is the picture's worth to a player
that reads it without error; what the second earns is possible without seeing at all.
"""

from typing import Any

from agents.players.scripted import Random


class ByPicture(Random):
    """Knows the facts of the picture that it was shown; draws at random if it shows none."""

    needs = ("expert_by_picture", "seen_facts", *Random.needs)

    def __init__(self) -> None:
        super().__init__()
        self.name = "expert-by-picture"

    def choose(self, env: Any, repeat: int = 0) -> str:
        """Decide by the picture's facts."""
        facts = env.seen_facts
        return str(env.expert_by_picture(facts)) if facts else super().choose(env, repeat)


class ByText(Random):
    """Knows the facts that the prompt states; always plays the first action if it states none.

    In Blackjack that action is to stand, which is the best one can do unseen.
    """

    needs = ("expert_by_picture", "text_facts", *Random.needs)

    def __init__(self) -> None:
        super().__init__()
        self.name = "heuristic-by-text"

    def choose(self, env: Any, repeat: int = 0) -> str:
        """Decide by the facts in the text."""
        facts = env.text_facts
        return str(env.expert_by_picture(facts)) if facts else str(env.vocabulary[0])
