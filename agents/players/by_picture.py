"""A scripted player that sees only the picture: the control of each suite.

It decides like the expert, but knows of the state only the facts of the picture that it was shown.
With a blank picture it draws uniformly from the vocabulary. What it loses then is the picture's
worth to a player that reads it without error.
"""

from typing import Any

from agents.players.scripted import Random


class ByPicture(Random):
    """Plays as well as the picture that it is shown allows; knows neither state nor hidden card."""

    needs = ("expert_by_picture", "seen_facts", *Random.needs)

    def __init__(self) -> None:
        super().__init__()
        self.name = "expert-by-picture"

    def choose(self, env: Any, repeat: int = 0) -> str:
        """Decide by the picture's facts; draw at random if it shows none."""
        facts = env.seen_facts
        return str(env.expert_by_picture(facts)) if facts else super().choose(env, repeat)
