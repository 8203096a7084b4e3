"""Divide turns into micro-batches of similar lengths."""

from collections.abc import Sequence


def micro_batches(lengths: Sequence[int], most: int, tokens: int) -> list[list[int]]:
    """Return indices of items, in batches that cover all of them, the longest items first.

    Args:
        lengths: Tokens of each item.
        most: Largest number of items of a batch, at least 1.
        tokens: Largest number of tokens of a batch, padding included; 0 for no limit. An item that
            is longer has a batch of its own.
    """
    batches: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        # Items come in falling order, so a batch's first item is its longest.
        if batches and len(batches[-1]) < most:
            width = lengths[batches[-1][0]]
            if not tokens or width * (len(batches[-1]) + 1) <= tokens:
                batches[-1].append(index)
                continue
        batches.append([index])
    return batches
