"""Sprites of texts and playing cards, from which tasks compose their pictures.

Each atlas is a folder of coverage masks under `assets/`, drawn once by `scripts/make_atlas.py`. A
mask is coloured on first use, blended with the colour behind it, so that drawing only copies
rectangles and opens no font at run time. Each task decides where its sprites go.
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
from vlbench.task import Frame
from vlbench.themes import SIZE, Colour, Theme, scaled

ASSETS = files("vlbench") / "assets"
CHARACTERS: Final = tuple(map(chr, range(32, 127)))
"""The characters that every font has: printable ASCII."""
CARD_SIZES = {"large": (135, 189), "medium": (70, 98), "small": (67, 93)}
"""Width and height in pixels, in pictures of SIZE."""
CARD_LAYERS = (*map(rank_text, range(1, 14)), *SUITS, "body", "panel", "border", "back")
"""The masks of a sheet of cards, from top to bottom."""

Mask = npt.NDArray[np.uint8]
"""(height, width) uint8: coverage by ink, 0..255."""
Sprite = npt.NDArray[np.uint8]
"""(height, width, 3) uint8, RGB; read-only."""
Place = tuple[slice, slice]
"""Rows and columns of a frame."""


def choices(presentation: Presentation, label: str, count: int, options: int) -> tuple[int, ...]:
    """Return `count` independent choices 0..options−1.

    A hash costs 1 µs, so several choices share one.
    """
    share = _choices_per_hash(options)
    picks: list[int] = []
    while len(picks) < count:
        number = presentation.pick(f"{label}/{len(picks)}", options**share)
        for _ in range(min(share, count - len(picks))):
            number, choice = divmod(number, options)
            picks.append(choice)
    return tuple(picks)


@lru_cache
def _choices_per_hash(options: int) -> int:
    # Up to 2**32, the bias of a 64-bit hash's remainder is below 2**-32.
    share = 1
    while options ** (share + 1) <= 2**32:
        share += 1
    return share


def offsets(
    presentation: Presentation, label: str, count: int, jitter: int, size: int = SIZE
) -> tuple[tuple[int, int], ...]:
    """Return `count` shifts right and down, each 0..jitter pixels of SIZE, in those of a size."""
    shifts = _shifts(jitter, size)
    if len(shifts) == 1:
        return shifts * count
    return tuple([shifts[i] for i in choices(presentation, label, count, len(shifts))])


@lru_cache
def _shifts(jitter: int, size: int) -> tuple[tuple[int, int], ...]:
    steps = [scaled(step, size) for step in range(jitter + 1)]
    return tuple((dx, dy) for dx in steps for dy in steps)


class Blit(NamedTuple):
    """A sprite and its place: `frame[blit.place] = blit.sprite`."""

    place: Place
    sprite: Sprite


def place(x: int, y: int, width: int, height: int) -> Place:
    """Return the place of a rectangle whose top-left corner is at (x, y)."""
    return slice(y, y + height), slice(x, x + width)


def blit(sprite: Sprite, x: int, y: int) -> Blit:
    """Return a blit that places the sprite's top-left corner at (x, y)."""
    return Blit(place(x, y, sprite.shape[1], sprite.shape[0]), sprite)


def paste(frame: Frame, blits: Iterable[Blit]) -> None:
    """Copy sprites into a frame."""
    for place, sprite in blits:
        frame[place] = sprite


def _aligned(shape: tuple[int, int, int]) -> Sprite:
    # On some processors a copy is many times slower if source and destination differ by a few bytes
    # modulo the page size. Alignment to cache lines avoids that.
    store = np.empty(prod(shape) + 64, np.uint8)
    start = -store.ctypes.data % 64
    return store[start : start + prod(shape)].reshape(shape)


def _read_only(sprite: npt.NDArray[np.uint8]) -> Sprite:
    copy = _aligned((sprite.shape[0], sprite.shape[1], 3))
    copy[:] = sprite
    copy.flags.writeable = False
    return copy


def _blend(ground: npt.NDArray[np.uint8] | Colour, ink: Colour, mask: Mask) -> Sprite:
    """Blend ink over ground, with the mask as alpha."""
    # The largest intermediate value is 255 * 255 + 127, which fits into 16 bits.
    cover = mask[..., None].astype(np.uint16)
    mixed = np.asarray(ground, np.uint16) * (255 - cover) + np.asarray(ink, np.uint16) * cover
    return ((mixed + 127) // 255).astype(np.uint8)


@lru_cache
def background(colour: Colour, size: int = SIZE) -> Frame:
    """Return an empty frame of one colour."""
    return _read_only(np.broadcast_to(np.asarray(colour, np.uint8), (size, size, 3)))


@lru_cache
def _load_masks(atlas: str, sheet: str) -> Mask:
    # Imported here because the import is slow and only the first picture of a process needs it.
    from PIL import Image

    with (ASSETS / atlas / f"{sheet}.png").open("rb") as file, Image.open(file) as image:
        return np.asarray(image.convert("L"))


class Alphabet(NamedTuple):
    """Masks of texts in one size, all of the same height."""

    top: int
    """Rows from the top of a line, at which y is 0, to the masks."""
    height: int
    """Rows of the masks."""
    space: int
    """Width of a space."""
    masks: Mapping[str, Mask]

    def compose(self, text: str) -> Mask | None:
        """Return the mask of a text: its own, or those of its characters side by side.

        None if a character is missing.
        """
        if text in self.masks:
            return self.masks[text]
        if not text or not all(character in self.masks for character in text):
            return None
        return np.hstack([self.masks[character] for character in text])


@lru_cache(maxsize=256)
def _load_alphabet(atlas: str, role: str, sheet: str) -> Alphabet:
    index = json.loads((ASSETS / atlas / f"{sheet}.json").read_text())[role]
    strip = _load_masks(atlas, sheet)[index["row"] : index["row"] + index["height"]]
    widths: dict[str, int] = index["widths"]
    masks = {
        text: strip[:, right - width : right]
        for (text, width), right in zip(widths.items(), accumulate(widths.values()), strict=True)
    }
    return Alphabet(index["top"], index["height"], index["space"], masks)


class Font:
    """One size of a theme's type, in one ink on one ground.

    The texts of the benchmark's own tasks ("Target:", numbers, …) have masks that fit them closely.
    Any other text of printable ASCII has a taller mask, which fits every character.

    Args:
        atlas: Name of the atlas of its letters.
        role: Use of the text, which fixes its size: "display" (the largest), "large", "small",
            "label", "title" or "name" (the smallest).
        ink: Colour of the text.
        ground: Colour behind the text.
    """

    def __init__(self, atlas: str, role: str, ink: Colour, ground: Colour) -> None:
        self._atlas, self._role = atlas, role
        self._ink, self._ground = ink, ground
        self._usual = _load_alphabet(atlas, role, "text")
        self.top, self.height, self.space, _ = self._usual

    def draw(self, text: str, width: int = 0) -> Sprite:
        """Return a sprite of a text, padded with ground to at least `width` pixels.

        Raises:
            ValueError: The text is empty, or a character isn't printable ASCII.
        """
        mask = self.mask(text)
        if (missing := width - mask.shape[1]) > 0:
            mask = np.pad(mask, ((0, 0), (0, missing)))
        return self.colour(mask)

    def mask(self, text: str) -> Mask:
        """Return the mask of a text.

        Raises:
            ValueError: The text is empty, or a character isn't printable ASCII.
        """
        mask = self._usual.compose(text)
        if mask is None:
            mask = self._ascii.compose(text)
        if mask is None:
            raise ValueError(f"expected printable ASCII, at least one character; got {text!r}")
        return mask

    def colour(self, mask: Mask) -> Sprite:
        """Return the sprite of a mask."""
        return _read_only(_blend(self._ground, self._ink, mask))

    def top_of(self, text: str) -> int:
        """Return the rows from the top of a line, at which y is 0, to the sprite of a text."""
        return self.top if self._usual.compose(text) is not None else self._ascii.top

    @cached_property
    def _ascii(self) -> Alphabet:
        # Loaded on demand: most runs never draw such a text.
        return _load_alphabet(self._atlas, self._role, "ascii")


@lru_cache
def load_font(theme: Theme, role: str, paper: bool = False) -> Font:
    """Return a theme's font for a role, on the table colour or on paper; see `Font`."""
    ink, ground = (theme.paper_ink, theme.paper) if paper else (theme.table_ink, theme.table)
    return Font(theme.lettering, role, ink, ground)


@lru_cache(maxsize=1024)
def draw_text(font: Font, text: str, width: int = 0) -> Sprite:
    """Return `font.draw(text, width)`, cached."""
    return font.draw(text, width)


@lru_cache(maxsize=1024)
def text_blit(font: Font, text: str, x: int, y: int) -> Blit:
    """Return a blit that places a line of text with its top-left corner at (x, y).

    It covers what lies under it with the font's ground, the table's colour or that of paper.
    """
    return blit(draw_text(font, text), x, y + font.top_of(text))


class Deck:
    """A theme's cards of one size, on its table."""

    def __init__(self, theme: Theme, size: str) -> None:
        self.width, self.height = map(theme.px, CARD_SIZES[size])
        sheet = _load_masks(theme.art, size).reshape(len(CARD_LAYERS), self.height, self.width)
        self._layers = dict(zip(CARD_LAYERS, sheet, strict=True))
        self._theme = theme
        self.opaque = self._layers["body"][..., None] > 127
        """(height, width, 1) bool: the card without its corners, for cards on top of others."""
        self.rounding = int(self.opaque[:, 0, 0].argmax())
        """Number of rows with rounded corners, at the top and at the bottom each."""
        self._cards: dict[tuple[int, int], Sprite] = {}

    def card(self, rank: int, suit: int) -> Sprite:
        """Return the sprite of a rank 1..13 and a suit 0..3 (clubs, diamonds, hearts, spades)."""
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
        """The back of a card."""
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
