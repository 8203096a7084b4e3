"""The picture of EZPoints: two large cards, and the formula on one line."""

from vlbench.tasks.formula.picture import FormulaLayout, FormulaPicture
from vlbench.themes import ThemeChoice

CLASSIC = FormulaLayout(
    card_size="large",
    role="large",
    cards=((5, 55), (153, 55)),
    label=(10, 258),
    tokens=None,
    right=292,
    pitch=0,
    target=(10, 15),
)


class EZPointsPicture(FormulaPicture):
    """Draws EZPoints; see `FormulaPicture`."""

    usual_target = 12
    layouts = {
        "classic": CLASSIC,
        "roomy": CLASSIC,
        "inverted": FormulaLayout(
            card_size="large",
            role="large",
            cards=((8, 102), (154, 102)),
            label=(12, 12),
            tokens=None,
            right=292,
            pitch=0,
            target=(12, 52),
        ),
        "columns": FormulaLayout(
            card_size="large",
            role="large",
            cards=((5, 5), (155, 105)),
            label=(154, 8),
            tokens=(154, 38),
            right=294,
            pitch=28,
            target=(12, 220),
        ),
        "offset": FormulaLayout(
            card_size="large",
            role="large",
            cards=((10, 6), (155, 6)),
            label=(14, 208),
            tokens=None,
            right=292,
            pitch=0,
            target=(14, 252),
        ),
        "mirrored": FormulaLayout(
            card_size="large",
            role="large",
            cards=((155, 5), (5, 105)),
            label=(8, 8),
            tokens=(8, 38),
            right=148,
            pitch=28,
            target=(154, 220),
        ),
    }

    def __init__(
        self, themes: ThemeChoice, target: int = 12, faces: int = 10, memory: bool = False
    ) -> None:
        super().__init__(themes, target, faces, memory)
