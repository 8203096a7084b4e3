"""Playing cards among the words of a picture.

A card has its rank twice: small in its upper left corner, and large in its middle. Some decks show
it a third time, upside down in the lower right corner.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from agents.players.ocr.words import Word
from vlbench.cards import read_rank

CONFUSED = {**dict.fromkeys("EFLT]了", "J"), **dict.fromkeys("O0D", "Q"), "X": "K", "I0": "10"}
"""What single ranks are at times read as."""
LARGE = 0.6
"""Least height of a large rank, in widths of a card."""
UNSURE = 0.5
"""Weight of a rank that only follows after other signs were left out, or by CONFUSED."""
_RANK = re.compile(r"10|[2-9AJQK]")


@dataclass(frozen=True, slots=True)
class Guess:
    """The rank that a word shows."""

    word: Word
    rank: int
    """1 (ace) to 13 (king)."""
    weight: float


@dataclass(frozen=True, slots=True)
class Card:
    """A card, and the readings of its rank."""

    guesses: list[Guess] = field(default_factory=list)

    @property
    def rank(self) -> int:
        """The rank with the most weight."""
        return max(self._weights(), key=lambda rank: self._weights()[rank])

    @property
    def weight(self) -> float:
        """How sure the rank is."""
        return self._weights()[self.rank]

    @property
    def left(self) -> float:
        """Left edge of what was read, in pixels."""
        return min(guess.word.left for guess in self.guesses)

    @property
    def top(self) -> float:
        """Top edge of what was read, in pixels."""
        return min(guess.word.top for guess in self.guesses)

    def _weights(self) -> dict[int, float]:
        weights: dict[int, float] = {}
        for guess in self.guesses:
            weights[guess.rank] = weights.get(guess.rank, 0.0) + guess.weight
        return weights


def find_cards(words: Iterable[Word], width: float) -> list[Card]:
    """Return the cards that words show, row by row.

    Args:
        words: The words, without labels.
        width: Width of a card in pixels.
    """
    parts = [part for word in words for part in _parts(word, width)]
    guesses = [guess for word in parts for guess in _guesses(word)]
    large = [guess for guess in guesses if guess.word.height > LARGE * width]
    small = [guess for guess in guesses if guess.word.height <= LARGE * width]
    cards: list[Card] = []
    for guess in sorted(large, key=lambda guess: guess.word.left):
        corners = [other for other in small if _is_corner(other.word, guess.word, width)]
        corner = max(corners, key=lambda other: other.word.left, default=None)
        if corner is not None:
            small.remove(corner)
        small = [other for other in small if not _is_upside_down(other.word, guess.word, width)]
        cards.append(Card([guess] if corner is None else [guess, corner]))
    cards += [Card([guess]) for guess in small]
    return _in_rows(cards, width)


def _parts(word: Word, width: float) -> list[Word]:
    """Return a word; one across several cards in a part for each rank."""
    ranks = _RANK.findall(word.text.upper())
    if word.right - word.left <= 1.1 * width or len(ranks) < 2:
        return [word]
    step = (word.right - word.left) / len(ranks)
    lefts = [word.left + step * i for i in range(len(ranks))]
    return [
        replace(word, text=rank, left=left, right=left + step)
        for rank, left in zip(ranks, lefts, strict=True)
    ]


def _guesses(word: Word) -> list[Guess]:
    """Return the rank that a word shows, if any."""
    text = word.text.upper().replace(" ", "")
    if (rank := read_rank(text)) and _RANK.fullmatch(text):
        return [Guess(word, rank, word.score)]
    if text in CONFUSED:
        rank = read_rank(CONFUSED[text])
    else:
        ranks = _RANK.findall(text)
        rank = read_rank(ranks[0]) if ranks and len(text) <= 3 else None
    return [Guess(word, rank, UNSURE * word.score)] if rank else []


def _is_corner(small: Word, large: Word, width: float) -> bool:
    """Whether a small rank stands in the upper left corner of a large one's card."""
    beside = small.left < large.left + 0.4 * width and large.right - small.left <= 1.05 * width
    return beside and small.top - 0.3 * width <= large.top <= small.top + 0.9 * width


def _is_upside_down(small: Word, large: Word, width: float) -> bool:
    """Whether a small rank stands in the lower right corner of a large one's card."""
    below = large.middle + 0.3 * width < small.middle < large.top + 1.4 * width
    return below and large.left < small.left < large.left + width


def _in_rows(cards: Sequence[Card], width: float) -> list[Card]:
    """Return cards from left to right, one row after another."""
    rows: list[list[Card]] = []
    for card in sorted(cards, key=lambda card: card.top):
        if rows and card.top - rows[-1][0].top < width:
            rows[-1].append(card)
        else:
            rows.append([card])
    return [card for row in rows for card in sorted(row, key=lambda card: card.left)]
