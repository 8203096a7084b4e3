"""The pictures of EZPoints and Points24 in RL4VLM's layout; a long formula runs off the edge."""

from collections.abc import Sequence
from dataclasses import dataclass

from vlbench.cards import RANKS, SUITS, rank_text
from vlbench.instances import Presentation
from vlbench.rl4vlm.formula_game import SPACE, FormulaState, Hand
from vlbench.sprites import Blit, blit, paste, text_blit
from vlbench.task import SIZE, Fact, Frame
from vlbench.tasks.formula.picture import FormulaLayout, ThemeAssets, theme_assets
from vlbench.themes import THEMES


@dataclass(frozen=True, slots=True, eq=False)
class FormulaStyle:
    """An episode's cards and label, and the position of its formula."""

    assets: ThemeAssets
    still: tuple[Blit, ...]
    left: int
    top: int


class FormulaPicture:
    """Draws a hand in the order dealt, and the formula on one line, cut at the right edge.

    Args:
        layout: Positions; the tasks' classic layouts are the original's.
    """

    def __init__(self, layout: FormulaLayout) -> None:
        self._layout = layout

    def style(self, start: FormulaState, presentation: Presentation) -> FormulaStyle:
        """Lay out the cards; the deal fixes their order, faces and suits."""
        assets, layout = theme_assets(THEMES["classic"], self._layout), self._layout
        cards = [
            blit(assets.deck.card(rank_of(card), SUITS.index(card[0])), x, y)
            for card, (x, y) in zip(start.hand.cards, layout.cards, strict=True)
        ]
        x, y = layout.label
        label, font = text_blit(assets.font, "Formula:", x, y), assets.font
        left, top = layout.tokens or (x + label.sprite.shape[1] + font.space, y)
        return FormulaStyle(assets, (*cards, label), left, top + font.top)

    def paint(self, frame: Frame, state: FormulaState, style: FormulaStyle) -> None:
        """Draw the cards, the label and the formula."""
        frame[:] = style.assets.empty
        paste(frame, style.still)
        _draw_tokens(frame, style, state.tokens, 0)

    def repaint(
        self,
        frame: Frame,
        state: FormulaState,
        style: FormulaStyle,
        previous: FormulaState,
        previous_style: FormulaStyle,
    ) -> bool:
        """Draw the new tokens; False if earlier tokens differ."""
        count = len(previous.tokens)
        if previous_style is not style or state.tokens[:count] != previous.tokens:
            return False
        _draw_tokens(frame, style, state.tokens, count)
        return True

    def facts(self, state: FormulaState, style: FormulaStyle) -> dict[str, Fact]:
        """Return the cards in the order shown, their values, and the formula as drawn."""
        return {
            "cards": ranks_of(state.hand),
            "numbers": state.hand.numbers,
            "formula": " ".join(state.tokens),
        }


def _draw_tokens(frame: Frame, style: FormulaStyle, tokens: Sequence[str], first: int) -> None:
    """Draw the tokens from index `first` on, clipped to the frame."""
    font, x, y = style.assets.font, style.left, style.top
    for i, token in enumerate(tokens):
        if token != SPACE:
            sprite = style.assets.tokens[token][:, : max(SIZE - x, 0)]
            if i >= first:
                frame[y : y + font.height, x : x + sprite.shape[1]] = sprite
            x += style.assets.widths[token]
        else:
            x += font.space
        x += font.space


def rank_of(card: str) -> int:
    """Return the rank 1..13 of a card in the original's notation, e.g. 10 for "DT"."""
    return RANKS.index(card[1]) + 1


def ranks_of(hand: Hand) -> tuple[str, ...]:
    """Return the ranks of a hand as text: "A", "2", …, "10", "J", "Q", "K"."""
    return tuple(rank_text(rank_of(card)) for card in hand.cards)
