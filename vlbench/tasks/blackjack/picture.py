"""The picture of Blackjack: the dealer's open card, a card back and the player's hand."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from vlbench.cards import rank_text
from vlbench.instances import Presentation
from vlbench.sprites import (
    Blit,
    Deck,
    Font,
    Place,
    Sprite,
    background,
    deck,
    load_font,
    offsets,
    paste,
    place,
    text_blit,
)
from vlbench.task import Fact, Frame, checked_bool
from vlbench.tasks.blackjack.game import BlackjackState
from vlbench.tasks.blackjack.game import hand as count_hand
from vlbench.tasks.blackjack.odds import longest_dealer_hand
from vlbench.tasks.blackjack.rules import USUAL, Rules
from vlbench.themes import MAX_JITTER, SIZE, Theme, ThemeChoice

MAX_PLAYER, MAX_DEALER = 22, 13
"""Most cards in a hand under the usual rules: the player's two and one a turn; the dealer's 6 or 7
aces, a six and 5 aces."""
HIDDEN = "hidden"
"""The fact about the dealer's card while it lies face down."""
SIDE_BY_SIDE, ONE_ROW = 4, 7
"""Largest hand without overlap, and largest hand in one row, in cards."""
RIGHT = 297
"""Right edge of all cards without jitter, in pixels of SIZE."""
STEP = 74
"""Distance from card to card without overlap, in pixels of SIZE."""
INDEX = 22
"""Width of a card's rank and suit in pixels of SIZE; this much of a covered card stays visible."""
RANKS = ("", *map(rank_text, range(1, 14)))
Point = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Fan:
    """The position of a hand, in pixels."""

    x: int
    y: int
    """Top-left corner of the first card."""
    second_row: int | None = None
    """Distance down to the second row, which only large hands use; None: always one row."""

    def sized(self, theme: Theme) -> "Fan":
        """Return a position that is stated in pixels of SIZE in those of a theme's pictures."""
        down = self.second_row and theme.px(self.second_row)
        return Fan(theme.px(self.x), theme.px(self.y), down)


@dataclass(frozen=True, slots=True)
class Layout:
    """Top-left corners without jitter, in pixels of SIZE."""

    dealer_label: Point
    player_label: Point
    dealer: Fan
    player: Fan
    label_room: int
    """Pixels that jitter may move a label down before it touches a card."""

    def sized(self, theme: Theme) -> "Layout":
        """Return the layout in pixels of a theme's pictures."""
        (x, y), (other_x, other_y) = self.dealer_label, self.player_label
        return replace(
            self,
            dealer_label=(theme.px(x), theme.px(y)),
            player_label=(theme.px(other_x), theme.px(other_y)),
            dealer=self.dealer.sized(theme),
            player=self.player.sized(theme),
            label_room=theme.px(self.label_room),
        )


LAYOUTS = {
    "classic": Layout((5, 5), (5, 130), Fan(5, 25), Fan(5, 150, second_row=47), label_room=2),
    "roomy": Layout((5, 2), (5, 127), Fan(5, 25), Fan(5, 150, second_row=47), label_room=1),
    "inverted": Layout((8, 175), (8, 2), Fan(5, 197), Fan(5, 25, second_row=47), label_room=0),
    "columns": Layout((220, 0), (220, 125), Fan(5, 23), Fan(5, 148, second_row=47), label_room=1),
    "offset": Layout((110, 2), (110, 127), Fan(5, 25), Fan(5, 150, second_row=47), label_room=1),
    "mirrored": Layout((216, 175), (216, 2), Fan(5, 197), Fan(5, 25, second_row=47), label_room=0),
}


@dataclass(frozen=True, slots=True)
class Spread:
    """The layout of a hand with a given number of cards."""

    corners: tuple[Point, ...]
    """Top-left corners without jitter."""
    places: tuple[Place, ...]
    """Areas of the cards without jitter."""
    room: int
    """Pixels that jitter may move a card to the right."""
    last: int
    """Largest x of a card, which jitter keeps."""
    rows: slice
    """Rows of the frame that this hand can cover at any size."""


@dataclass(frozen=True, slots=True, eq=False)
class ThemeAssets:
    """The assets that all pictures of a theme share."""

    empty: Frame
    deck: Deck
    font: Font
    layout: Layout
    dealer: Sequence[Spread]
    player: Sequence[Spread]
    """Layouts by the number of cards."""


class Hand(NamedTuple):
    """The look of one hand at every size."""

    spreads: Sequence[Spread]
    """Layouts by the number of cards."""
    suits: int
    """Two bits per card; the first card has the lowest bits."""
    shifts: tuple[Point, ...]
    """Shift of each card in pixels; empty without jitter."""


class BlackjackStyle(NamedTuple):
    """An episode's theme and labels, and the suits and shifts of all possible cards."""

    assets: ThemeAssets
    still: tuple[Blit, ...]
    dealer: Hand
    player: Hand
    seen: int = 0
    """Number of the player's cards that lie face down; the dealer's open card does too, if any."""


@lru_cache
def theme_assets(theme: Theme, most_dealer: int = MAX_DEALER) -> ThemeAssets:
    """Return a theme's shared assets, loaded once per process.

    Args:
        theme: The theme.
        most_dealer: The most cards that the dealer can have.
    """
    layout, cards = LAYOUTS[theme.layout].sized(theme), deck(theme, "medium")
    dealer, player = (
        [fan_layout(theme, fan, count, cards) for count in range(most + 1)]
        for fan, most in ((layout.dealer, most_dealer), (layout.player, MAX_PLAYER))
    )
    return ThemeAssets(
        empty=background(theme.table, theme.size),
        deck=cards,
        font=load_font(theme, "label"),
        layout=layout,
        dealer=dealer,
        player=player,
    )


def fan_layout(theme: Theme, fan: Fan, count: int, cards: Deck) -> Spread:
    """Return the layout of `count` cards of a deck.

    Small hands lie side by side, larger ones overlap, and the largest use the second row if there
    is one. Every rank and suit stays visible.
    """
    second_row = fan.second_row or 0
    rows = 2 if second_row and count > ONE_ROW else 1
    columns = -(-count // rows)
    width, height = cards.width, cards.height
    usual = STEP * theme.size // SIZE  # rounded down, so that four cards fit with it
    step = min(usual, (theme.px(RIGHT) - width - fan.x) // max(columns - 1, 1))
    corners = tuple(
        (fan.x + step * (i % columns), fan.y + second_row * (i // columns)) for i in range(count)
    )
    return Spread(
        corners=corners,
        places=tuple(place(x, y, width, height) for x, y in corners),
        # The closer the cards, the less room there is for shifts.
        room=max(step - theme.px(INDEX), 0),
        last=theme.size - width,
        rows=slice(fan.y, fan.y + second_row + height + theme.px(MAX_JITTER)),
    )


class BlackjackPicture:
    """Draws Blackjack.

    Args:
        themes: The themes, and the largest shift of a card or label in pixels.
        rules: The rules, which decide what a hand is worth and what the player sees.
        memory: Whether each card lies face up in the first picture that has it, and in no other.
    """

    def __init__(self, themes: ThemeChoice, rules: Rules = USUAL, memory: bool = False) -> None:
        self._memory = checked_bool("from_memory", memory)
        self._themes = themes
        self.size = themes.size
        self._rules = rules
        self._most_dealer = max(longest_dealer_hand(rules), MAX_DEALER)

    def style(self, start: BlackjackState, presentation: Presentation) -> BlackjackStyle:
        """Choose the theme, and the suit and shift of every possible card."""
        assets = theme_assets(self._themes.of(presentation), self._most_dealer)
        still = labels(assets, offsets(presentation, "labels", 2, self._themes.jitter, self.size))
        dealer = self._hand(presentation, "dealer", assets.dealer, self._most_dealer)
        player = self._hand(presentation, "player", assets.player, MAX_PLAYER)
        return BlackjackStyle(assets, still, dealer, player)

    def later_style(self, state: BlackjackState, style: BlackjackStyle) -> BlackjackStyle:
        """Turn the cards of this state face down, if memory is asked for."""
        if not self._memory or style.seen == len(state.player):
            return style
        return style._replace(seen=len(state.player))

    def paint(self, frame: Frame, state: BlackjackState, style: BlackjackStyle) -> None:
        """Draw the labels and both hands."""
        frame[:] = style.assets.empty
        paste(frame, style.still)
        dealer, player = self._dealers(state, style), _players(state, style)
        _draw_hand(frame, style.assets, style.dealer, dealer, style.dealer, ())
        _draw_hand(frame, style.assets, style.player, player, style.player, ())

    def repaint(
        self,
        frame: Frame,
        state: BlackjackState,
        style: BlackjackStyle,
        previous: BlackjackState,
        previous_style: BlackjackStyle,
    ) -> bool:
        """Draw the cards that differ; False if the layout differs."""
        if previous_style is not style and not self._same_layout(style, previous_style):
            return False
        assets, before = style.assets, previous_style
        dealers, earlier = self._dealers(state, style), self._dealers(previous, before)
        _draw_hand(frame, assets, style.dealer, dealers, before.dealer, earlier)
        players, earlier = _players(state, style), _players(previous, before)
        _draw_hand(frame, assets, style.player, players, before.player, earlier)
        return True

    def facts(self, state: BlackjackState, style: BlackjackStyle) -> dict[str, Fact]:
        """Return the dealer's open card, the player's cards and their total.

        Where cards of the player lie face down, the total is 0.
        """
        hand = count_hand(state.player, self._rules)
        return {
            "dealer_card": RANKS[self._dealers(state, style)[0]] or HIDDEN,
            "player_cards": tuple([RANKS[rank] or HIDDEN for rank in _players(state, style)]),
            "player_total": 0 if style.seen else hand.total,
            "usable_ace": hand.usable_ace and not style.seen,
        }

    def _dealers(self, state: BlackjackState, style: BlackjackStyle) -> tuple[int, ...]:
        """Return the dealer's hand as drawn; 0 is a card back."""
        if not state.over:
            return (state.dealer[0] if state.dealer and not style.seen else 0, 0)
        was_open = style.seen and not self._rules.dealer_hidden
        return (0, *state.dealer[1:]) if was_open else state.dealer

    def _hand(
        self, presentation: Presentation, who: str, spreads: Sequence[Spread], most: int
    ) -> Hand:
        suits, jitter = presentation.pick(f"{who}/suits", 4**most), self._themes.jitter
        shifts: tuple[Point, ...] = ()
        if jitter:
            shifts = offsets(presentation, f"{who}/shifts", most, jitter, self.size)
        return Hand(spreads, suits, shifts)

    def _same_layout(self, style: BlackjackStyle, previous_style: BlackjackStyle) -> bool:
        """Whether both styles place everything alike."""
        return previous_style.assets is style.assets and not self._themes.jitter


def _players(state: BlackjackState, style: BlackjackStyle) -> tuple[int, ...]:
    """Return the player's hand as drawn; 0 is a card back."""
    return (0,) * style.seen + state.player[style.seen :] if style.seen else state.player


@lru_cache(maxsize=1024)
def labels(assets: ThemeAssets, shifts: tuple[Point, ...]) -> tuple[Blit, ...]:
    """Return the blits of the labels; each ends above its hand."""
    layout, font = assets.layout, assets.font
    places = (
        ("Dealer", layout.dealer_label, layout.dealer),
        ("Player", layout.player_label, layout.player),
    )
    blits = []
    for (label, (x, y), fan), (dx, dy) in zip(places, shifts, strict=True):
        lowest = fan.y - font.top - font.height
        blits.append(text_blit(font, label, x + dx, min(y + min(dy, layout.label_room), lowest)))
    return tuple(blits)


def _draw_hand(
    frame: Frame,
    assets: ThemeAssets,
    hand: Hand,
    ranks: tuple[int, ...],
    previous_hand: Hand,
    previous_ranks: tuple[int, ...],
) -> None:
    """Draw a hand over the previous one; redraw only cards that change if none overlap."""
    if hand is previous_hand and ranks == previous_ranks:
        return
    cards, count, previous_count = assets.deck, len(ranks), len(previous_ranks)
    spread, previous_spread = hand.spreads[count], previous_hand.spreads[previous_count]
    fanned, both = count > SIDE_BY_SIDE, min(count, previous_count)
    # A card of another hand may have another suit; a card back has none.
    same = hand is previous_hand
    changed = [
        i for i in range(both) if ranks[i] != previous_ranks[i] or not (same or ranks[i] == 0)
    ]
    was_fanned = previous_count > SIDE_BY_SIDE
    if (
        (fanned or was_fanned)
        and (
            changed
            or both < previous_count
            or fanned != was_fanned  # cards side by side have corners of their own
            or spread.corners[:both] != previous_spread.corners[:both]
        )
    ):
        frame[previous_spread.rows] = assets.empty[previous_spread.rows]
        changed, both = [], 0
    else:
        for i in range(both, previous_count):
            place = _card_area(previous_hand, previous_spread, i, cards)
            frame[place] = assets.empty[place]
    for i in (*changed, *range(both, count)):
        sprite = cards.card(ranks[i], hand.suits >> 2 * i & 3) if ranks[i] else cards.back
        place = _card_area(hand, spread, i, cards)
        if fanned:
            _overlay(frame[place], sprite, cards)
        else:
            frame[place] = sprite


def _card_area(hand: Hand, spread: Spread, i: int, cards: Deck) -> Place:
    """Return the area of card i of a hand."""
    if not hand.shifts:
        return spread.places[i]
    (x, y), (dx, dy) = spread.corners[i], hand.shifts[i]
    x = min(x + min(dx, spread.room), spread.last)
    return place(x, y + dy, cards.width, cards.height)


def _overlay(ground: Frame, card: Sprite, cards: Deck) -> None:
    """Draw a card over other cards, which stay visible at its rounded corners."""
    top, bottom = cards.rounding, cards.height - cards.rounding
    ground[top:bottom] = card[top:bottom]
    # Copying whole pixels is many times faster than copying single bytes.
    pixels, new, opaque = ground.view("V3"), card.view("V3"), cards.opaque
    np.copyto(pixels[:top], new[:top], where=opaque[:top])
    np.copyto(pixels[bottom:], new[bottom:], where=opaque[bottom:])
