"""The pictures of EZPoints and Points24 in RL4VLM's layout; a long formula runs off the edge."""

from dataclasses import dataclass

from vlbench.cards import RANKS, SUITS, rank_text
from vlbench.instances import Presentation
from vlbench.rl4vlm.formula_game import SPACE, FormulaState, Hand
from vlbench.rl4vlm.lettering import line_blit
from vlbench.sprites import Blit, blit, paste
from vlbench.task import SIZE, Fact, Frame
from vlbench.tasks.formula.picture import FormulaLayout, Point, ThemeAssets, theme_assets
from vlbench.themes import THEMES


@dataclass(frozen=True, slots=True, eq=False)
class FormulaStyle:
    """An episode's cards and label, and the line of its formula."""

    assets: ThemeAssets
    still: tuple[Blit, ...]
    prefix: tuple[str, ...]
    """What stands before the formula on its line."""
    corner: Point


LABEL = "Formula:"


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
        if layout.tokens is None:
            return FormulaStyle(assets, tuple(cards), (LABEL, SPACE), layout.label)
        label = line_blit(assets.font, layout.role, (LABEL,), layout.label, SIZE)
        return FormulaStyle(assets, (*cards, label), (), layout.tokens)

    def paint(self, frame: Frame, state: FormulaState, style: FormulaStyle) -> None:
        """Draw the cards, the label and the formula."""
        frame[:] = style.assets.empty
        paste(frame, style.still)
        _draw_formula(frame, style, state)

    def repaint(
        self,
        frame: Frame,
        state: FormulaState,
        style: FormulaStyle,
        previous: FormulaState,
        previous_style: FormulaStyle,
    ) -> bool:
        """Draw the formula; False in another episode."""
        if previous_style is not style:
            return False
        _draw_formula(frame, style, state)
        return True

    def facts(self, state: FormulaState, style: FormulaStyle) -> dict[str, Fact]:
        """Return the cards in the order shown, their values, and the formula as drawn."""
        return {
            "cards": ranks_of(state.hand),
            "numbers": state.hand.numbers,
            "formula": " ".join(state.tokens),
        }


def _draw_formula(frame: Frame, style: FormulaStyle, state: FormulaState) -> None:
    """Draw the line with the formula, clipped to the frame."""
    assets = style.assets
    parts = (*style.prefix, SPACE.join(state.tokens))
    paste(frame, [line_blit(assets.font, assets.layout.role, parts, style.corner, SIZE)])


def rank_of(card: str) -> int:
    """Return the rank 1..13 of a card in the original's notation, e.g. 10 for "DT"."""
    return RANKS.index(card[1]) + 1


def ranks_of(hand: Hand) -> tuple[str, ...]:
    """Return the ranks of a hand as text: "A", "2", …, "10", "J", "Q", "K"."""
    return tuple(rank_text(rank_of(card)) for card in hand.cards)
