"""Sprites: texts and playing cards, from which pictures are put together.

Each theme has a folder of coverage masks under `assets/`, drawn once by `scripts/make_atlas.py`.
They are coloured when first used, on the colour they will stand on, so that drawing is nothing but
copying rectangles: no font is opened at run time. What stands where is each task's own business.
"""

import json
from collections.abc import Iterable, Mapping
from functools import cached_property, lru_cache
from importlib.resources import files
from itertools import accumulate
from math import prod
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from vlbench.cards import SUITS, rank_text
from vlbench.instances import Presentation
from vlbench.task import SIZE, Frame
from vlbench.themes import Colour, Theme

ASSETS = files("vlbench") / "assets"
CHARACTERS: Final = tuple(map(chr, range(32, 127)))
"""What every font can draw: printable ASCII."""
CARD_SIZES = {"large": (135, 189), "medium": (70, 98), "small": (67, 93)}
"""Width and height in pixels."""
CARD_LAYERS = (*map(rank_text, range(1, 14)), *SUITS, "body", "panel", "border", "back")
"""The masks of a sheet of cards, from the top."""

Mask = npt.NDArray[np.uint8]
"""(height, width) uint8: how much of each pixel is ink."""
Sprite = npt.NDArray[np.uint8]
"""(height, width, 3) uint8, RGB; read-only."""
Place = tuple[slice, slice]
"""Rows and columns of a frame."""


def choices(presentation: Presentation, label: str, count: int, options: int) -> tuple[int, ...]:
    """Return `count` independent choices 0..options−1; several share a hash, which costs 1 µs."""
    share = _choices_per_hash(options)
    made: list[int] = []
    while len(made) < count:
        number = presentation.pick(f"{label}/{len(made)}", options**share)
        for _ in range(min(share, count - len(made))):
            number, choice = divmod(number, options)
            made.append(choice)
    return tuple(made)


@lru_cache
def _choices_per_hash(options: int) -> int:
    # Below 2**32 of a hash's 2**64 the remainder's bias can't be measured.
    share = 1
    while options ** (share + 1) <= 2**32:
        share += 1
    return share


def offsets(
    presentation: Presentation, label: str, count: int, jitter: int
) -> tuple[tuple[int, int], ...]:
    """Return `count` shifts right and down, each 0..jitter pixels."""
    shifts = _shifts(jitter)
    if len(shifts) == 1:
        return shifts * count
    return tuple([shifts[i] for i in choices(presentation, label, count, len(shifts))])


@lru_cache
def _shifts(jitter: int) -> tuple[tuple[int, int], ...]:
    return tuple((dx, dy) for dx in range(jitter + 1) for dy in range(jitter + 1))


class Blit(NamedTuple):
    """A sprite and where it goes: `frame[blit.place] = blit.sprite`."""

    place: Place
    sprite: Sprite


def place(x: int, y: int, width: int, height: int) -> Place:
    """Return the place of a rectangle with its upper left corner at (x, y)."""
    return slice(y, y + height), slice(x, x + width)


def blit(sprite: Sprite, x: int, y: int) -> Blit:
    """Return the copying of a sprite with its upper left corner at (x, y)."""
    return Blit(place(x, y, sprite.shape[1], sprite.shape[0]), sprite)


def paste(frame: Frame, blits: Iterable[Blit]) -> None:
    """Copy sprites into a frame."""
    for place, sprite in blits:
        frame[place] = sprite


def _aligned(shape: tuple[int, int, int]) -> Sprite:
    # Copies whose source and destination differ by a few bytes modulo the page size are many times
    # slower on some processors; whole cache lines keep out of their way.
    store = np.empty(prod(shape) + 64, np.uint8)
    start = -store.ctypes.data % 64
    return store[start : start + prod(shape)].reshape(shape)


def _read_only(sprite: npt.NDArray[np.uint8]) -> Sprite:
    copy = _aligned((sprite.shape[0], sprite.shape[1], 3))
    copy[:] = sprite
    copy.flags.writeable = False
    return copy


def _blend(ground: npt.NDArray[np.uint8] | Colour, ink: Colour, mask: Mask) -> Sprite:
    """Return the mix of ground and ink, by how much of each pixel the mask covers."""
    # 255 * 255 + 127 is the largest number on the way, so 16 bits do.
    cover = mask[..., None].astype(np.uint16)
    mixed = np.asarray(ground, np.uint16) * (255 - cover) + np.asarray(ink, np.uint16) * cover
    return ((mixed + 127) // 255).astype(np.uint8)


@lru_cache
def background(colour: Colour) -> Frame:
    """Return an empty frame of one colour."""
    return _read_only(np.broadcast_to(np.asarray(colour, np.uint8), (SIZE, SIZE, 3)))


def _load_masks(theme: str, sheet: str) -> Mask:
    # Imported here: the import is slow, and only the first picture of a process needs it.
    from PIL import Image

    with (ASSETS / theme / f"{sheet}.png").open("rb") as file, Image.open(file) as image:
        return np.asarray(image.convert("L"))


class Alphabet(NamedTuple):
    """The masks of some texts in one size, all of the same height."""

    top: int
    """Rows between the top of a line, where y is counted from, and the masks."""
    height: int
    """Rows of the masks."""
    space: int
    """Width of a space."""
    masks: Mapping[str, Mask]

    def compose(self, text: str) -> Mask | None:
        """Return the mask of a text, from its characters unless it is there whole.

        None if a character is missing.
        """
        if text in self.masks:
            return self.masks[text]
        if not text or not all(character in self.masks for character in text):
            return None
        return np.hstack([self.masks[character] for character in text])


def _load_alphabet(theme: str, role: str, sheet: str) -> Alphabet:
    index = json.loads((ASSETS / theme / f"{sheet}.json").read_text())[role]
    strip = _load_masks(theme, sheet)[index["row"] : index["row"] + index["height"]]
    widths: dict[str, int] = index["widths"]
    masks = {
        text: strip[:, right - width : right]
        for (text, width), right in zip(widths.items(), accumulate(widths.values()), strict=True)
    }
    return Alphabet(index["top"], index["height"], index["space"], masks)


class Font:
    """One size of a theme's type, in one ink on one ground.

    Texts that the benchmark's own tasks write ("Target:", numbers, …) are in rows that fit them
    closely. Any other text of printable ASCII is in higher rows, which fit every character.

    Args:
        theme: Name of the theme.
        role: What the text is for, which fixes its size: "display" (the largest), "large", "small",
            "label", "title" or "name" (the smallest).
        ink: Colour of the text.
        ground: Colour of the surface under it.
    """

    def __init__(self, theme: str, role: str, ink: Colour, ground: Colour) -> None:
        self._theme, self._role = theme, role
        self._ink, self._ground = ink, ground
        self._usual = _load_alphabet(theme, role, "text")
        self.top, self.height, self.space, _ = self._usual

    def draw(self, text: str, width: int = 0) -> Sprite:
        """Return a text, filled up with ground to at least `width` pixels.

        Raises:
            ValueError: A character isn't printable ASCII.
        """
        mask = self._usual.compose(text)
        if mask is None:
            mask = self._ascii.compose(text)
        if mask is None:
            raise ValueError(f"wanted printable ASCII, at least one character; got {text!r}")
        missing = max(width - mask.shape[1], 0)
        return _read_only(_blend(self._ground, self._ink, np.pad(mask, ((0, 0), (0, missing)))))

    def top_of(self, text: str) -> int:
        """Return the rows between the top of a line, where y is counted from, and `draw(text)`."""
        return self.top if self._usual.compose(text) is not None else self._ascii.top

    @cached_property
    def _ascii(self) -> Alphabet:
        # Most runs never draw such a text, and their first picture doesn't wait for this file.
        return _load_alphabet(self._theme, self._role, "ascii")


@lru_cache
def load_font(theme: Theme, role: str, paper: bool = False) -> Font:
    """Return a theme's font for a role, on the table's colour or on paper; see `Font`."""
    ink, ground = (theme.paper_ink, theme.paper) if paper else (theme.table_ink, theme.table)
    return Font(theme.name, role, ink, ground)


@lru_cache(maxsize=1024)
def draw_text(font: Font, text: str, width: int = 0) -> Sprite:
    """Return `font.draw(text, width)`, drawn once."""
    return font.draw(text, width)


@lru_cache(maxsize=1024)
def text_blit(font: Font, text: str, x: int, y: int) -> Blit:
    """Return the copying of a text whose line has its upper left corner at (x, y)."""
    return blit(draw_text(font, text), x, y + font.top_of(text))


class Deck:
    """A theme's cards of one size, on its table."""

    def __init__(self, theme: Theme, size: str) -> None:
        self.width, self.height = CARD_SIZES[size]
        sheet = _load_masks(theme.name, size).reshape(len(CARD_LAYERS), self.height, self.width)
        self._layers = dict(zip(CARD_LAYERS, sheet, strict=True))
        self._theme = theme
        self.opaque = self._layers["body"][..., None] > 127
        """Without the corners, for cards that lie on others."""
        self.rounding = int(self.opaque[:, 0, 0].argmax())
        """Rows at the top, and as many at the bottom, that lack their corners."""
        self._cards: dict[tuple[int, int], Sprite] = {}

    def card(self, rank: int, suit: int) -> Sprite:
        """Return the card of a rank 1..13 and a suit 0..3 (clubs, diamonds, hearts, spades)."""
        card = self._cards.get((rank, suit))
        if card is None:
            layers = self._layers
            marks = np.maximum(layers[rank_text(rank)], layers[SUITS[suit]])
            ground = self._face if rank > 10 else self._blank
            card = _read_only(_blend(ground, self._theme.suits[suit], marks))
            self._cards[rank, suit] = card
        return card

    @cached_property
    def back(self) -> Sprite:
        """A card from behind."""
        return _read_only(self._framed("back", self._theme.back))

    @cached_property
    def _face(self) -> Sprite:
        return self._framed("panel", self._theme.panel)

    @cached_property
    def _blank(self) -> Sprite:
        return self._framed("body", self._theme.card)

    def _framed(self, layer: str, ink: Colour) -> Sprite:
        layers, theme = self._layers, self._theme
        body = _blend(theme.table, theme.card, layers["body"])
        card = body if layer == "body" else _blend(body, ink, layers[layer])
        return _blend(card, theme.border, layers["border"])


@lru_cache
def deck(theme: Theme, size: str) -> Deck:
    """Return a theme's cards of a size ("large", "medium", "small")."""
    return Deck(theme, size)
