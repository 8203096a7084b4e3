"""Playing cards: ranks, their values, and cards drawn from a hash instead of a generator."""

import re
from hashlib import sha256

RANKS = "A23456789TJQK"
"""One character per rank, in order; rank 1 is the ace, rank 13 the king."""
SUITS = "CDHS"
"""Clubs, diamonds, hearts, spades."""


def rank_text(rank: int) -> str:
    """Return the text on a card of rank 1..13: "A", "2", …, "10", "J", "Q", "K"."""
    return "10" if rank == 10 else RANKS[rank - 1]


MAX_FACES = 20
"""Largest value of a jack."""


def count_faces(rank: int, faces: int) -> int:
    """Return the value of a rank 1..13.

    J, Q and K count 10 each if `faces` is 10; else J counts `faces`, and Q and K one and two more.
    """
    return min(rank, 10) if faces == 10 or rank < 11 else faces + rank - 11


def hashed_rank(key: str) -> int:
    """Map a text to a rank 1..13, the same on every machine.

    The first eight bytes of its sha256, modulo 13; the bias is below 1e-18.
    """
    return int.from_bytes(sha256(key.encode()).digest()[:8], "big") % 13 + 1


_RANK_OF = {
    "ACE": 1,
    "A": 1,
    "T": 10,
    "JACK": 11,
    "J": 11,
    "QUEEN": 12,
    "Q": 12,
    "KING": 13,
    "K": 13,
}
_CARD = re.compile(
    r"([A-Z]+|\d{1,2}(?:\.0)?)\s*(?:[CDHS♣♦♥♠]|OF\s+(?:CLUBS|DIAMONDS|HEARTS|SPADES))?"
)


def read_rank(stated: object) -> int | None:
    """Return the rank 1..13 of a card as people write it; None if it is not a card.

    "K", "king", "K♠", "10 of hearts", 7 and 7.0 are cards; the numbers 11..13 are J, Q and K.
    """
    card = _CARD.fullmatch(str(stated).strip().upper())
    if card is None:
        return None
    rank = _RANK_OF.get(card[1]) or (int(float(card[1])) if card[1][0].isdecimal() else 0)
    return rank if 1 <= rank <= 13 else None
