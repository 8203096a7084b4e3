"""The picture that EZPoints and Points24 share: a hand of cards and the formula so far."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations
from typing import NamedTuple

from vlbench.cards import count_faces, rank_text
from vlbench.instances import Presentation
from vlbench.sprites import (
    Blit,
    Deck,
    Font,
    Sprite,
    background,
    blit,
    checked_jitter,
    choices,
    deck,
    lettering,
    offsets,
    word,
)
from vlbench.task import Fact, Frame
from vlbench.tasks.formula.arithmetic import OPERATORS
from vlbench.tasks.formula.game import FormulaState
from vlbench.themes import THEMES, themes_named

TOKENS = (*map(str, range(1, 14)), *OPERATORS, "(", ")")
Point = tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class FormulaLayout:
    """Where things stand, in pixels: upper left corners without jitter."""

    card_size: str
    role: str
    """Size of the lettering."""
    cards: tuple[Point, ...]
    label: Point
    tokens: Point | None
    """The first token and the left edge of all lines; None: on the label's line, behind it."""
    right: int
    """Tokens that would reach further go to the next line."""
    pitch: int
    """From line to line."""
    target: Point


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """What all pictures of a task share in a theme."""

    empty: Frame
    deck: Deck
    font: Font
    tokens: dict[str, Sprite]
    widths: dict[str, int]
    layout: FormulaLayout


class FormulaLook(NamedTuple):
    """An episode's theme, cards and labels, and where its formula starts."""

    scene: Scene
    still: tuple[Blit, ...]
    """The cards, the label, and the target where it isn't the usual one."""
    left: int
    top: int
    right: int
    cards: tuple[str, ...]
    """What the cards show, in the order shown."""
    numbers: tuple[int, ...]
    """What they count."""


@lru_cache
def scene(theme: str, layout: FormulaLayout) -> Scene:
    """Return a theme's scene in a layout, loaded once a process."""
    colours = THEMES[theme]
    font = lettering(colours, layout.role)
    tokens = {token: word(font, token) for token in TOKENS}
    widths = {token: sprite.shape[1] for token, sprite in tokens.items()}
    return Scene(
        background(colours.table), deck(colours, layout.card_size), font, tokens, widths, layout
    )


@lru_cache
def orders(count: int) -> Sequence[tuple[int, ...]]:
    """Return the orders in which `count` cards can lie."""
    return tuple(permutations(range(count)))


@lru_cache(maxsize=4096)
def placed(cards: Deck, rank: int, suit: int, x: int, y: int) -> Blit:
    """Return the blit of a card; without jitter the same few come again and again."""
    return blit(cards.card(rank, suit), x, y)


@lru_cache(maxsize=1024)
def written(font: Font, text: str, x: int, y: int) -> Blit:
    """Return the blit of a word."""
    return blit(word(font, text), x, y)


class FormulaPicture:
    """Draws a hand of cards and the formula so far.

    Args:
        theme: A theme, or a group whose themes take turns by presentation.
        jitter: Largest shift of a card or line, in pixels.
        target: What the formula must equal.
        faces: 10 when J, Q, K count 10 each; 11 when they count 11, 12, 13.
    """

    layouts: dict[str, FormulaLayout]
    usual_target: int
    """The target that the picture need not tell."""

    def __init__(self, theme: str, jitter: int, target: int, faces: int) -> None:
        self._themes = themes_named(theme)
        self._jitter = checked_jitter(jitter)
        self._target = target
        self._faces = faces

    def look(self, start: FormulaState, presentation: Presentation) -> FormulaLook:
        """Choose the theme, the order, suits and faces of the cards, and where things stand."""
        theme = self._themes[presentation.number % len(self._themes)]
        view = scene(theme.name, self.layouts[theme.layout])
        layout, font = view.layout, view.font
        ranks = self._ranks(start, presentation)
        count = len(ranks)
        shifts = offsets(presentation, "shift", count + 2, self._jitter)
        still = [
            placed(view.deck, rank, suit, x + dx, y + dy)
            for (rank, suit), (x, y), (dx, dy) in zip(ranks, layout.cards, shifts, strict=False)
        ]
        (x, y), (dx, dy) = layout.label, shifts[count]
        still.append(written(font, "Formula:", x + dx, y + dy + font.top))
        if self._target != self.usual_target:
            still += self._target_line(view, shifts[count + 1])
        left, top = layout.tokens or (x + word(font, "Formula:").shape[1] + font.space, y)
        return FormulaLook(
            scene=view,
            still=tuple(still),
            left=left + dx,
            top=top + dy + font.top,
            right=layout.right + dx,
            cards=tuple([rank_text(rank) for rank, _ in ranks]),
            numbers=tuple([count_faces(rank, self._faces) for rank, _ in ranks]),
        )

    def paint(
        self,
        frame: Frame,
        state: FormulaState,
        look: FormulaLook,
        shown: tuple[FormulaState, FormulaLook] | None,
    ) -> None:
        """Draw the cards and tokens that the frame doesn't show yet, or everything."""
        view, tokens = look.scene, state.tokens
        empty, height = view.empty, view.font.height
        first = 0
        if shown is None or (shown[1] is not look and not self._fits(shown[1], look)):
            frame[:] = empty
            for place, sprite in look.still:
                frame[place] = sprite
        else:
            old, worn = shown[0].tokens, shown[1]
            if worn is not look:
                for new, other in zip(look.still, worn.still, strict=True):
                    if new is not other:
                        frame[new.place] = new.sprite
            if tokens[: len(old)] == old:
                first = len(old)
            else:
                lines = slice(look.top, _corners(look, old)[-1][1] + height)
                columns = slice(look.left, look.right)
                frame[lines, columns] = empty[lines, columns]
        if first == len(tokens):
            return
        corners = _corners(look, tokens)
        for i in range(first, len(tokens)):
            (x, y), sprite = corners[i], view.tokens[tokens[i]]
            frame[y : y + height, x : x + sprite.shape[1]] = sprite

    def facts(self, state: FormulaState, look: FormulaLook) -> dict[str, Fact]:
        """Return the cards as they lie, what they count, the formula and the target."""
        return {
            "cards": look.cards,
            "numbers": look.numbers,
            "formula": " ".join(state.tokens),
            "target": self._target,
        }

    def _ranks(self, start: FormulaState, presentation: Presentation) -> list[tuple[int, int]]:
        """Return rank and suit of each card as they lie; no card lies there twice."""
        ways = orders(len(start.hand))
        order = ways[presentation.pick("order", len(ways))]
        cards: list[tuple[int, int]] = []
        for i, choice in zip(order, choices(presentation, "cards", len(order), 16), strict=True):
            face, suit = divmod(choice, 4)
            rank = start.hand[i]
            if rank == 10 and self._faces == 10:
                rank += face
            while (rank, suit) in cards:
                suit = (suit + 1) % 4
            cards.append((rank, suit))
        return cards

    def _fits(self, worn: FormulaLook, look: FormulaLook) -> bool:
        """Whether all that a look shows stands where another look's stands."""
        return worn.scene is look.scene and not self._jitter

    def _target_line(self, view: Scene, shift: Point) -> list[Blit]:
        font, (x, y) = view.font, view.layout.target
        x, y = x + shift[0], y + shift[1] + font.top
        indent = word(font, "Target:").shape[1] + font.space
        return [written(font, "Target:", x, y), written(font, str(self._target), x + indent, y)]


def _corners(look: FormulaLook, tokens: Sequence[str]) -> list[Point]:
    """Return the upper left corner of each token."""
    view, left, right = look.scene, look.left, look.right
    widths, space, pitch = view.widths, view.font.space, view.layout.pitch
    x, y = left, look.top
    corners = []
    for token in tokens:
        width = widths[token]
        if x + width > right:
            x, y = left, y + pitch
        corners.append((x, y))
        x += width + space
    return corners
