"""The rules of Blackjack that a keyword argument can change."""

from dataclasses import dataclass
from typing import Final

from vlbench.task import checked_int

BUST_ABOVE: Final = 21
"""The usual largest total that isn't bust."""
LARGEST: Final = 63
"""Largest `bust_above`; the cards of a longer hand wouldn't fit into the picture."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a hand is worth, how the dealer plays and what the player sees.

    Raises:
        ValueError: A value has a wrong type or is out of range.
    """

    dealer_hits_soft_17: bool = False
    """Whether the dealer draws at a soft `dealer_draws_to`, which is 17 by default."""
    bust_above: int = BUST_ABOVE
    """The largest total that isn't bust, 21..63."""
    ace_counts_11: bool = True
    """Whether an ace counts 11 where that doesn't exceed `bust_above`; else it counts 1."""
    dealer_draws_to: int = 17
    """The total below which the dealer draws, 12..bust_above."""
    dealer_hidden: bool = False
    """Whether both of the dealer's cards lie face down until the player stands."""

    def __post_init__(self) -> None:
        """Check the values."""
        for name in ("dealer_hits_soft_17", "ace_counts_11", "dealer_hidden"):
            value = getattr(self, name)
            if not isinstance(value, bool):
                raise ValueError(f"{name} must be a bool, got {value!r}")
        for name, least, most in (
            ("bust_above", BUST_ABOVE, LARGEST),
            ("dealer_draws_to", 12, self.bust_above),
        ):
            value = checked_int(name, getattr(self, name), least)
            if value > most:
                raise ValueError(f"{name} must be at most {most}, got {value}")
            object.__setattr__(self, name, value)  # a plain int, if it was one of numpy's

    @property
    def high_aces(self) -> int:
        """The most aces of a hand that can count 11: one if a hand is bust above 21."""
        return self.bust_above // 11 if self.ace_counts_11 else 0


USUAL: Final = Rules()
"""The rules of RL4VLM."""
