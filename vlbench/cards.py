"""Playing cards: ranks, what they count, and cards drawn from a hash instead of a generator."""

import re
from hashlib import sha256

RANKS = "A23456789TJQK"
"""One character a rank, in order; rank number 1 is the ace, 13 the king."""
SUITS = "CDHS"
"""Clubs, diamonds, hearts, spades."""


def rank_text(rank: int) -> str:
    """Return what a card of rank 1..13 shows: "A", "2", …, "10", "J", "Q", "K"."""
    return "10" if rank == 10 else RANKS[rank - 1]


def count_faces(rank: int, faces: int) -> int:
    """Return the number that a rank (1..13) counts.

    J, Q, K count 10 each when `faces` is 10, and 11, 12, 13 when it is 11.
    """
    return rank if faces == 11 else min(rank, 10)


def hashed_rank(key: str) -> int:
    """Return the rank 1..13 that a text stands for, the same on every machine for ever.

    The first eight bytes of the sha256 are taken modulo 13; the bias is below 1e-18.
    """
    return int.from_bytes(sha256(key.encode()).digest()[:8], "big") % 13 + 1


_NAMED = {"ACE": 1, "A": 1, "T": 10, "JACK": 11, "J": 11, "QUEEN": 12, "Q": 12, "KING": 13, "K": 13}
_CARD = re.compile(
    r"([A-Z]+|\d{1,2}(?:\.0)?)\s*(?:[CDHS♣♦♥♠]|OF\s+(?:CLUBS|DIAMONDS|HEARTS|SPADES))?"
)


def read_rank(named: object) -> int | None:
    """Return the rank 1..13 of a card as people write it; None if that names no card.

    "K", "king", "K♠", "10 of hearts", 7 and 7.0 are cards; numbers 11..13 are J, Q, K.
    """
    card = _CARD.fullmatch(str(named).strip().upper())
    if card is None:
        return None
    rank = _NAMED.get(card[1]) or (int(float(card[1])) if card[1][0].isdecimal() else 0)
    return rank if 1 <= rank <= 13 else None
