"""Deal an instance of a split."""

from typing import Any

import numpy as np

from vlbench.instances import Share
from vlbench.task import Game, split_in, unit_in

SPLITS = ("all", "train", "val", "test")
"""The instances that an environment deals. Training deals `train`, looks at `val` and never deals
`test`."""
TRAINING_SPLITS = ("train", "val")

MOST_DEALS = 2000
"""A split counts as empty if none of this many deals belongs to it."""


def belongs(game: Game[Any], instance: str, split: str, share: Share | None) -> bool:
    """Return whether an instance is of a split, one of SPLITS, and of a share; None for all."""
    if split != "all" and split_in(game, instance) not in ("", split):
        return False
    return share is None or share.holds(unit_in(game, instance))


def deal(game: Game[Any], rng: np.random.Generator, split: str, share: Share | None) -> str:
    """Return an instance that belongs to a split and a share of it.

    Args:
        game: Deals instances of all splits.
        rng: The generator that the game draws from.
        split: One of SPLITS.
        share: The share of the split's units; None for all.

    Raises:
        ValueError: None of MOST_DEALS deals belongs to them.
    """
    for _ in range(MOST_DEALS):
        instance = game.deal(rng)
        if belongs(game, instance, split, share):
            return instance
    raise ValueError(
        f"{MOST_DEALS} deals gave no instance of the split {split}"
        f"{' and this share of it' if share else ''}; use another"
    )
