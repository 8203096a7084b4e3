"""EZPoints' and Points24's pictures in RL4VLM's layout: cards, and one line that may run off."""

from dataclasses import dataclass

from vlbench.cards import RANKS, SUITS, rank_text
from vlbench.instances import Presentation
from vlbench.rl4vlm.formula_game import SPACE, FormulaState, Hand
from vlbench.sprites import Blit, blit, word
from vlbench.task import SIZE, Fact, Frame
from vlbench.tasks.formula.picture import FormulaLayout, Scene, scene


@dataclass(frozen=True, slots=True, eq=False)
class FormulaLook:
    """An episode's cards and label, and where its formula starts."""

    scene: Scene
    still: tuple[Blit, ...]
    left: int
    top: int


class FormulaPicture:
    """Draws a hand as it was dealt, and the formula on one line, cut at the right edge.

    Args:
        layout: Where things stand; the classic layouts of the tasks have the original's places.
    """

    def __init__(self, layout: FormulaLayout) -> None:
        self._layout = layout

    def look(self, start: FormulaState, presentation: Presentation) -> FormulaLook:
        """Lay out the cards; the deal has fixed order, faces and suits."""
        view, layout = scene("classic", self._layout), self._layout
        cards = [
            blit(view.deck.card(rank_of(card), SUITS.index(card[0])), x, y)
            for card, (x, y) in zip(start.hand.cards, layout.cards, strict=True)
        ]
        x, y = layout.label
        label = word(view.font, "Formula:")
        left, top = layout.tokens or (x + label.shape[1] + view.font.space, y)
        still = (*cards, blit(label, x, y + view.font.top))
        return FormulaLook(view, still, left, top + view.font.top)

    def paint(
        self,
        frame: Frame,
        state: FormulaState,
        look: FormulaLook,
        shown: tuple[FormulaState, FormulaLook] | None,
    ) -> None:
        """Draw the tokens that the frame doesn't show yet, or everything."""
        before = shown[0].tokens if shown is not None and shown[1] is look else None
        drawn = 0
        if before is not None and state.tokens[: len(before)] == before:
            drawn = len(before)
        else:
            frame[:] = look.scene.empty
            for place, sprite in look.still:
                frame[place] = sprite
        font, x, y = look.scene.font, look.left, look.top
        for i, token in enumerate(state.tokens):
            if token != SPACE:
                sprite = look.scene.tokens[token][:, : max(SIZE - x, 0)]
                if i >= drawn:
                    frame[y : y + font.height, x : x + sprite.shape[1]] = sprite
                x += look.scene.tokens[token].shape[1]
            else:
                x += font.space
            x += font.space

    def facts(self, state: FormulaState, look: FormulaLook) -> dict[str, Fact]:
        """Return the cards as they lie, what they count, and the formula as it is drawn."""
        return {
            "cards": ranks_of(state.hand),
            "numbers": state.hand.numbers,
            "formula": " ".join(state.tokens),
        }


def rank_of(card: str) -> int:
    """Return the rank 1..13 of a card in the original's writing, e.g. 10 of "DT"."""
    return RANKS.index(card[1]) + 1


def ranks_of(hand: Hand) -> tuple[str, ...]:
    """Return what the cards of a hand show: "A", "2", …, "10", "J", "Q", "K"."""
    return tuple(rank_text(rank_of(card)) for card in hand.cards)
