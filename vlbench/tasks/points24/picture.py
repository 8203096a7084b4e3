"""The picture of Points24: four cards, and the formula on as many lines as it needs."""

from vlbench.tasks.formula.picture import FormulaLayout, FormulaPicture
from vlbench.themes import ThemeChoice


class Points24Picture(FormulaPicture):
    """Draws Points24; see `FormulaPicture`."""

    usual_target = 24
    layouts = {
        "classic": FormulaLayout(
            card_size="small",
            role="small",
            cards=((5, 103), (78, 103), (152, 103), (226, 103)),
            label=(10, 210),
            tokens=(10, 240),
            right=292,
            pitch=24,
            target=(10, 60),
        ),
        "roomy": FormulaLayout(
            card_size="small",
            role="small",
            cards=((5, 70), (78, 70), (152, 70), (226, 70)),
            label=(10, 180),
            tokens=(10, 210),
            right=294,
            pitch=26,
            target=(10, 24),
        ),
        "inverted": FormulaLayout(
            card_size="small",
            role="small",
            cards=((6, 146), (80, 146), (154, 146), (227, 146)),
            label=(12, 10),
            tokens=(12, 40),
            right=294,
            pitch=26,
            target=(12, 262),
        ),
        "columns": FormulaLayout(
            card_size="small",
            role="small",
            cards=((8, 24), (84, 24), (8, 128), (84, 128)),
            label=(168, 24),
            tokens=(168, 54),
            right=294,
            pitch=27,
            target=(8, 250),
        ),
        "offset": FormulaLayout(
            card_size="small",
            role="small",
            cards=((5, 52), (78, 72), (152, 52), (226, 72)),
            label=(10, 178),
            tokens=(10, 208),
            right=294,
            pitch=26,
            target=(10, 14),
        ),
        "mirrored": FormulaLayout(
            card_size="small",
            role="small",
            cards=((150, 24), (226, 24), (150, 128), (226, 128)),
            label=(8, 24),
            tokens=(8, 54),
            right=138,
            pitch=27,
            target=(150, 250),
        ),
    }

    def __init__(
        self, themes: ThemeChoice, target: int = 24, faces: int = 10, memory: bool = False
    ) -> None:
        super().__init__(themes, target, faces, memory)
