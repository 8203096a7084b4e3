"""The picture that EZPoints and Points24 share: a hand of cards and the formula so far."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import permutations
from typing import NamedTuple

from vlbench.cards import MAX_FACES, count_faces, rank_text
from vlbench.instances import Presentation
from vlbench.sprites import (
    Blit,
    Deck,
    Font,
    Sprite,
    background,
    blit,
    choices,
    deck,
    draw_text,
    load_font,
    offsets,
    paste,
    text_blit,
)
from vlbench.task import Fact, Frame, checked_bool
from vlbench.tasks.formula.arithmetic import OPERATORS
from vlbench.tasks.formula.game import FormulaState
from vlbench.themes import Theme, ThemeChoice

TOKENS = (*map(str, range(1, MAX_FACES + 3)), *OPERATORS, "(", ")")
FACE_DOWN = "face down"
"""A card whose face is hidden, and the formula where no picture shows it, among the facts."""
Point = tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class FormulaLayout:
    """A layout in pixels of SIZE: top-left corners without jitter."""

    card_size: str
    role: str
    """Role of the font."""
    cards: tuple[Point, ...]
    label: Point
    tokens: Point | None
    """The first token and the left edge of all lines; None: to the right of the label."""
    right: int
    """Right edge; tokens that would cross it go to the next line."""
    pitch: int
    """Distance from line to line."""
    target: Point

    def sized(self, theme: Theme) -> "FormulaLayout":
        """Return the layout in pixels of a theme's pictures."""

        def point(corner: Point) -> Point:
            return theme.px(corner[0]), theme.px(corner[1])

        return replace(
            self,
            cards=tuple(map(point, self.cards)),
            label=point(self.label),
            tokens=self.tokens and point(self.tokens),
            right=theme.px(self.right),
            pitch=theme.px(self.pitch),
            target=point(self.target),
        )


@dataclass(frozen=True, slots=True, eq=False)
class ThemeAssets:
    """The assets that all pictures of a theme and a layout share."""

    empty: Frame
    deck: Deck
    font: Font
    tokens: dict[str, Sprite]
    widths: dict[str, int]
    layout: FormulaLayout


class FormulaStyle(NamedTuple):
    """An episode's theme, cards and labels, and the position of its formula."""

    assets: ThemeAssets
    still: tuple[Blit, ...]
    """The cards, the label, and the target if it isn't the usual one."""
    left: int
    top: int
    right: int
    cards: tuple[str, ...]
    """The ranks on the cards, in the order shown."""
    numbers: tuple[int, ...]
    """Their values."""
    target: int
    """What the formula must equal."""
    is_open: bool = True
    """Whether the cards lie face up."""


@lru_cache
def theme_assets(theme: Theme, layout: FormulaLayout) -> ThemeAssets:
    """Return the shared assets of a theme and a layout, loaded once per process."""
    font = load_font(theme, layout.role)
    tokens = {token: draw_text(font, token) for token in TOKENS}
    widths = {token: sprite.shape[1] for token, sprite in tokens.items()}
    cards = deck(theme, layout.card_size)
    empty = background(theme.table, theme.size)
    return ThemeAssets(empty, cards, font, tokens, widths, layout.sized(theme))


@lru_cache
def orders(count: int) -> Sequence[tuple[int, ...]]:
    """Return all orders of `count` cards."""
    return tuple(permutations(range(count)))


@lru_cache(maxsize=4096)
def card_blit(cards: Deck, rank: int, suit: int, x: int, y: int) -> Blit:
    """Return the blit of a card; cached, since positions repeat without jitter."""
    return blit(cards.card(rank, suit), x, y)


class FormulaPicture:
    """Draws a hand of cards and the formula so far.

    Args:
        themes: The themes, and the largest shift of a card or line in pixels.
        target: What the formula must equal, unless a hand comes with a target of its own.
        faces: The value of a jack, as in `FormulaGame`.
        memory: Whether the cards lie face up in the first turn alone, and no picture shows the
            formula.
    """

    layouts: dict[str, FormulaLayout]
    usual_target: int
    """The target that the picture omits."""

    def __init__(self, themes: ThemeChoice, target: int, faces: int, memory: bool = False) -> None:
        self._memory = checked_bool("from_memory", memory)
        self._themes = themes
        self.size = themes.size
        self._target = target
        self._faces = faces

    def style(self, start: FormulaState, presentation: Presentation) -> FormulaStyle:
        """Choose the theme, the order, suits and faces of the cards, and all positions."""
        theme = self._themes.of(presentation)
        assets = theme_assets(theme, self.layouts[theme.layout])
        layout, font = assets.layout, assets.font
        ranks = self._ranks(start, presentation)
        count = len(ranks)
        shifts = offsets(presentation, "shift", count + 2, self._themes.jitter, self.size)
        still = [
            card_blit(assets.deck, rank, suit, x + dx, y + dy)
            for (rank, suit), (x, y), (dx, dy) in zip(ranks, layout.cards, shifts, strict=False)
        ]
        (x, y), (dx, dy) = layout.label, shifts[count]
        label = text_blit(font, "Formula:", x + dx, y + dy)
        if not self._memory:
            still.append(label)
        target = start.aim(self._target)
        if target != self.usual_target:
            still += _target_line(assets, target, shifts[count + 1])
        left, top = layout.tokens or (x + label.sprite.shape[1] + font.space, y)
        return FormulaStyle(
            assets=assets,
            still=tuple(still),
            left=left + dx,
            top=top + dy + font.top,
            right=layout.right + dx,
            cards=tuple([rank_text(rank) for rank, _ in ranks]),
            numbers=tuple([count_faces(rank, self._faces) for rank, _ in ranks]),
            target=target,
        )

    def later_style(self, state: FormulaState, style: FormulaStyle) -> FormulaStyle:
        """Turn the cards face down after the first turn, if memory is asked for."""
        if not self._memory or not style.is_open:
            return style
        count, back = len(style.cards), style.assets.deck.back
        cards, rest = style.still[:count], style.still[count:]
        return style._replace(
            still=(*(Blit(card.place, back) for card in cards), *rest),
            cards=(FACE_DOWN,) * count,
            numbers=(),
            is_open=False,
        )

    def paint(self, frame: Frame, state: FormulaState, style: FormulaStyle) -> None:
        """Draw the cards, the label and the formula."""
        frame[:] = style.assets.empty
        paste(frame, style.still)
        if not self._memory:
            _draw_tokens(frame, style, state.tokens, 0)

    def repaint(
        self,
        frame: Frame,
        state: FormulaState,
        style: FormulaStyle,
        previous: FormulaState,
        previous_style: FormulaStyle,
    ) -> bool:
        """Draw the cards and tokens that differ; False if the layout differs."""
        if previous_style is not style:
            if not self._same_layout(style, previous_style):
                return False
            for new, old in zip(style.still, previous_style.still, strict=True):
                if new is not old:
                    frame[new.place] = new.sprite
        if self._memory:
            return True
        first = len(previous.tokens)
        if state.tokens[:first] != previous.tokens:
            first = 0
            bottom = _corners(style, previous.tokens)[-1][1] + style.assets.font.height
            lines, columns = slice(style.top, bottom), slice(style.left, style.right)
            frame[lines, columns] = style.assets.empty[lines, columns]
        _draw_tokens(frame, style, state.tokens, first)
        return True

    def facts(self, state: FormulaState, style: FormulaStyle) -> dict[str, Fact]:
        """Return the cards in the order shown, their values, the formula and the target.

        Where the cards lie face down, no values are known.
        """
        return {
            "cards": style.cards,
            "numbers": style.numbers,
            "formula": FACE_DOWN if self._memory else " ".join(state.tokens),
            "target": style.target,
        }

    def _ranks(self, start: FormulaState, presentation: Presentation) -> list[tuple[int, int]]:
        """Return rank and suit of each card in the order shown; no card appears twice."""
        possible_orders = orders(len(start.hand))
        order = possible_orders[presentation.pick("order", len(possible_orders))]
        shown_cards: list[tuple[int, int]] = []
        for i, choice in zip(order, choices(presentation, "cards", len(order), 16), strict=True):
            face_offset, suit = divmod(choice, 4)
            rank = start.hand[i]
            if rank == 10 and self._faces == 10:
                rank += face_offset
            elif rank > 10:
                rank += 11 - self._faces
            while (rank, suit) in shown_cards:
                suit = (suit + 1) % 4
            shown_cards.append((rank, suit))
        return shown_cards

    def _same_layout(self, style: FormulaStyle, previous_style: FormulaStyle) -> bool:
        """Whether both styles place everything alike and show the same target."""
        is_alike = previous_style.assets is style.assets and previous_style.target == style.target
        return is_alike and not self._themes.jitter


def _target_line(assets: ThemeAssets, target: int, shift: Point) -> list[Blit]:
    font, (x, y) = assets.font, assets.layout.target
    x, y = x + shift[0], y + shift[1]
    label = text_blit(font, "Target:", x, y)
    indent = label.sprite.shape[1] + font.space
    return [label, text_blit(font, str(target), x + indent, y)]


def _draw_tokens(frame: Frame, style: FormulaStyle, tokens: Sequence[str], first: int) -> None:
    """Draw the tokens from index `first` on."""
    if first == len(tokens):
        return
    sprites, height = style.assets.tokens, style.assets.font.height
    corners = _corners(style, tokens)
    for i in range(first, len(tokens)):
        (x, y), sprite = corners[i], sprites[tokens[i]]
        frame[y : y + height, x : x + sprite.shape[1]] = sprite


def _corners(style: FormulaStyle, tokens: Sequence[str]) -> list[Point]:
    """Return the top-left corner of each token."""
    assets, left, right = style.assets, style.left, style.right
    widths, space, pitch = assets.widths, assets.font.space, assets.layout.pitch
    x, y = left, style.top
    corners = []
    for token in tokens:
        width = widths[token]
        if x + width > right:
            x, y = left, y + pitch
        corners.append((x, y))
        x += width + space
    return corners
