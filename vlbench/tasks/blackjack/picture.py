"""The picture of Blackjack: the dealer's open card and a card back, and the player's hand."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from vlbench.cards import rank_text
from vlbench.instances import Presentation
from vlbench.sprites import (
    MAX_JITTER,
    Blit,
    Deck,
    Place,
    Sprite,
    background,
    blit,
    checked_jitter,
    deck,
    lettering,
    offsets,
    place,
    word,
)
from vlbench.task import SIZE, Fact, Frame
from vlbench.tasks.blackjack.game import BlackjackState
from vlbench.tasks.blackjack.game import hand as counted
from vlbench.themes import THEMES, themes_named

MAX_PLAYER, MAX_DEALER = 22, 13
"""Cards that a hand can hold: 21 aces and one more; six or seven aces, a six, five aces more."""
SIDE_BY_SIDE, ONE_ROW = 4, 7
"""Largest hands that need not be fanned, and that need no second row."""
RIGHT = 297
"""No card without jitter reaches further."""
STEP = 74
"""From card to card where there is room."""
INDEX = 22
"""Width of a card's corner with rank and suit: what must stay visible of a covered card."""
RANKS = ("", *map(rank_text, range(1, 14)))
Point = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Fan:
    """Where a hand lies, in pixels."""

    x: int
    y: int
    """Upper left corner of the first card."""
    second_row: int | None = None
    """From the first row down to the second, for hands that would be fanned too narrowly."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Upper left corners, in pixels, without jitter."""

    dealer_label: Point
    player_label: Point
    dealer: Fan
    player: Fan
    label_room: int
    """Pixels by which jitter may lower a label before it meets a card."""


LAYOUTS = {
    "classic": Layout((5, 5), (5, 130), Fan(5, 25), Fan(5, 150, second_row=47), label_room=2),
    "roomy": Layout((5, 2), (5, 127), Fan(5, 25), Fan(5, 150, second_row=47), label_room=1),
    "inverted": Layout((8, 175), (8, 2), Fan(5, 197), Fan(5, 25, second_row=47), label_room=0),
    "columns": Layout((220, 0), (220, 125), Fan(5, 23), Fan(5, 148, second_row=47), label_room=1),
}


@dataclass(frozen=True, slots=True)
class Spread:
    """How a hand of some size lies."""

    corners: tuple[Point, ...]
    """Upper left corners without jitter."""
    places: tuple[Place, ...]
    """Where the cards go without jitter."""
    room: int
    """Pixels by which jitter may push a card to the right."""
    rows: slice
    """Rows of the frame that this hand may ever cover, whatever its size."""


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """What all pictures in a theme share."""

    empty: Frame
    deck: Deck
    layout: Layout
    labels: tuple[Sprite, Sprite]
    """"Dealer" and "Player"."""
    label_top: int
    dealer: Sequence[Spread]
    player: Sequence[Spread]
    """How hands lie, by the number of cards."""


class Hand(NamedTuple):
    """How one hand will look, however many cards it comes to hold."""

    spreads: Sequence[Spread]
    """By the number of cards."""
    suits: int
    """Two bits a card, the first card's lowest."""
    shifts: tuple[Point, ...]
    """By the number of the card; empty without jitter."""


class BlackjackLook(NamedTuple):
    """An episode's theme, its labels, and the suits and shifts of all cards that can come."""

    scene: Scene
    still: tuple[Blit, ...]
    dealer: Hand
    player: Hand


@lru_cache
def scene(theme: str) -> Scene:
    """Return a theme's scene, loaded once a process."""
    colours = THEMES[theme]
    layout, cards = LAYOUTS[colours.layout], deck(colours, "medium")
    font = lettering(colours, "label")
    dealer, player = (
        [spread(fan, count, cards.width, cards.height) for count in range(most + 1)]
        for fan, most in ((layout.dealer, MAX_DEALER), (layout.player, MAX_PLAYER))
    )
    return Scene(
        empty=background(colours.table),
        deck=cards,
        layout=layout,
        labels=(word(font, "Dealer"), word(font, "Player")),
        label_top=font.top,
        dealer=dealer,
        player=player,
    )


def spread(fan: Fan, count: int, width: int, height: int) -> Spread:
    """Return how `count` cards of a size lie.

    Small hands lie side by side, larger ones are fanned, and the largest lie in two rows if the
    fan has two, so that every corner index is visible.
    """
    second_row = fan.second_row or 0
    rows = 2 if second_row and count > ONE_ROW else 1
    columns = -(-count // rows)
    step = min(STEP, (RIGHT - width - fan.x) // max(columns - 1, 1))
    corners = tuple(
        (fan.x + step * (i % columns), fan.y + second_row * (i // columns)) for i in range(count)
    )
    return Spread(
        corners=corners,
        places=tuple(place(x, y, width, height) for x, y in corners),
        # A narrow fan leaves less room between the corner indexes, so less for the shifts.
        room=max(step - INDEX, 0),
        rows=slice(fan.y, fan.y + second_row + height + MAX_JITTER),
    )


class BlackjackPicture:
    """Draws Blackjack.

    Args:
        theme: A theme, or a group whose themes take turns by presentation.
        jitter: Largest shift of a card or label, in pixels.
    """

    def __init__(self, theme: str = "classic", jitter: int = 0) -> None:
        self._themes = themes_named(theme)
        self._jitter = checked_jitter(jitter)

    def look(self, start: BlackjackState, presentation: Presentation) -> BlackjackLook:
        """Choose the theme, and suit and shift of every card that may come."""
        view = scene(self._themes[presentation.number % len(self._themes)].name)
        still = labels(view, offsets(presentation, "labels", 2, self._jitter))
        dealer = self._hand(presentation, "dealer", view.dealer, MAX_DEALER)
        player = self._hand(presentation, "player", view.player, MAX_PLAYER)
        return BlackjackLook(view, still, dealer, player)

    def paint(
        self,
        frame: Frame,
        state: BlackjackState,
        look: BlackjackLook,
        shown: tuple[BlackjackState, BlackjackLook] | None,
    ) -> None:
        """Draw the cards that the frame doesn't show yet, or everything."""
        view = look.scene
        if shown is None or not (shown[1] is look or self._fits(shown[1], look)):
            frame[:] = view.empty
            for place, sprite in look.still:
                frame[place] = sprite
            _draw(frame, view, look.dealer, _dealers(state), look.dealer, ())
            _draw(frame, view, look.player, state.player, look.player, ())
        else:
            before, worn = shown
            _draw(frame, view, look.dealer, _dealers(state), worn.dealer, _dealers(before))
            _draw(frame, view, look.player, state.player, worn.player, before.player)

    def facts(self, state: BlackjackState, look: BlackjackLook) -> dict[str, Fact]:
        """Return the dealer's open card, the player's cards and what they make."""
        ours = counted(state.player)
        return {
            "dealer_card": RANKS[state.dealer[0]],
            "player_cards": tuple([RANKS[rank] for rank in state.player]),
            "player_total": ours.total,
            "usable_ace": ours.usable_ace,
        }

    def _hand(
        self, presentation: Presentation, who: str, spreads: Sequence[Spread], most: int
    ) -> Hand:
        suits = presentation.pick(f"{who}/suits", 4**most)
        shifts = offsets(presentation, f"{who}/shifts", most, self._jitter) if self._jitter else ()
        return Hand(spreads, suits, shifts)

    def _fits(self, worn: BlackjackLook, look: BlackjackLook) -> bool:
        """Whether all that a look shows stands where another look's stands."""
        return worn.scene is look.scene and not self._jitter


@lru_cache(maxsize=1024)
def labels(view: Scene, shifts: tuple[Point, ...]) -> tuple[Blit, ...]:
    """Return the blits of the labels."""
    layout = view.layout
    corners = (layout.dealer_label, layout.player_label)
    return tuple(
        blit(label, x + dx, y + min(dy, layout.label_room) + view.label_top)
        for label, (x, y), (dx, dy) in zip(view.labels, corners, shifts, strict=True)
    )


def _dealers(state: BlackjackState) -> tuple[int, ...]:
    """Return the dealer's hand as shown; 0 is a card back."""
    return state.dealer if state.over else (state.dealer[0], 0)


def _draw(
    frame: Frame,
    view: Scene,
    hand: Hand,
    ranks: tuple[int, ...],
    worn: Hand,
    shown: tuple[int, ...],
) -> None:
    """Draw a hand where the frame shows another, over it where cards stay where they are."""
    if hand is worn and ranks == shown:
        return
    cards, lie, lay = view.deck, hand.spreads[len(ranks)], worn.spreads[len(shown)]
    fanned, both = len(ranks) > SIDE_BY_SIDE, min(len(ranks), len(shown))
    # Another hand's card has another suit; a back has none.
    same = hand is worn
    todo = [i for i in range(both) if ranks[i] != shown[i] or not (same or ranks[i] == 0)]
    if (fanned or len(shown) > SIDE_BY_SIDE) and (
        todo or both < len(shown) or lie.corners[:both] != lay.corners[:both]
    ):
        frame[lay.rows] = view.empty[lay.rows]
        todo, both = [], 0
    else:
        for i in range(both, len(shown)):
            where = _place(worn, lay, i, cards)
            frame[where] = view.empty[where]
    for i in (*todo, *range(both, len(ranks))):
        sprite = cards.card(ranks[i], hand.suits >> 2 * i & 3) if ranks[i] else cards.back
        where = _place(hand, lie, i, cards)
        if fanned:
            _lay(frame[where], sprite, cards)
        else:
            frame[where] = sprite


def _place(hand: Hand, lie: Spread, i: int, cards: Deck) -> Place:
    """Return where a hand's card i goes."""
    if not hand.shifts:
        return lie.places[i]
    (x, y), (dx, dy) = lie.corners[i], hand.shifts[i]
    x = min(x + min(dx, lie.room), SIZE - cards.width)
    return place(x, y + dy, cards.width, cards.height)


def _lay(ground: Frame, card: Sprite, cards: Deck) -> None:
    """Draw a card on what lies under it, which shows at its rounded corners."""
    top, bottom = cards.rounding, cards.height - cards.rounding
    ground[top:bottom] = card[top:bottom]
    # Whole pixels are copied many times faster than their bytes one by one.
    pixels, new, opaque = ground.view("V3"), card.view("V3"), cards.opaque
    np.copyto(pixels[:top], new[:top], where=opaque[:top])
    np.copyto(pixels[bottom:], new[bottom:], where=opaque[bottom:])
