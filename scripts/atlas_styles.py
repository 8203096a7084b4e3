"""The shapes of each theme, for `make_atlas.py`: fonts, sizes and card layouts."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Style:
    """A theme's shapes. On a card, lengths are shares of its width; positions, of its sides."""

    regular: str
    """Font of formulas, and of names in ALFWorld."""
    bold: str
    """Font of NumberLine, of Blackjack's labels and of titles in ALFWorld."""
    sizes: tuple[int, int, int, int, int, int]
    """Font size of each role in pixels, in the order of the roles."""
    card_font: str
    rank: tuple[float, float, float, float]
    """Centre x, centre y, width and height of the large rank; height as a share of the card's."""
    suits: tuple[tuple[float, float, float], ...]
    """Centre x, centre y and size of each large suit."""
    radius: float
    border: float
    """Width of the border, as a share of the card's width."""
    face: str
    """The mark of J, Q and K besides the letter: "crown", "bars", "pennants" or "blocks"."""
    back: str
    """Pattern of the back: "lattice", "stripes", "rings", "dots" or "checks"."""
    turned_index: bool = False
    """Whether the lower right corner has an index too, upside down."""
    inner_frame: bool = False


STYLES = {
    "classic": Style(
        regular="DejaVuSans.ttf",
        bold="DejaVuSans-Bold.ttf",
        sizes=(36, 20, 16, 16, 12, 11),
        card_font="DejaVuSans-Bold.ttf",
        rank=(0.58, 0.36, 0.60, 0.48),
        suits=((0.50, 0.79, 0.36),),
        turned_index=True,
        radius=0.08,
        border=0.016,
        face="crown",
        back="lattice",
    ),
    "midnight": Style(
        regular="Lato-Bold.ttf",
        bold="Lato-Black.ttf",
        sizes=(40, 24, 22, 18, 14, 11),
        card_font="Lato-Black.ttf",
        rank=(0.58, 0.68, 0.66, 0.50),
        suits=((0.60, 0.22, 0.40),),
        radius=0.12,
        border=0.012,
        face="bars",
        back="stripes",
    ),
    "parchment": Style(
        regular="RobotoSlab-Bold.otf",
        bold="RobotoSlab-Bold.otf",
        sizes=(38, 22, 20, 17, 13, 10),
        card_font="RobotoSlab-Bold.otf",
        rank=(0.61, 0.36, 0.60, 0.48),
        suits=((0.36, 0.80, 0.30), (0.72, 0.80, 0.30)),
        radius=0.04,
        border=0.03,
        face="crown",
        back="rings",
    ),
    "slate": Style(
        regular="Cantarell-Bold.otf",
        bold="Cantarell-ExtraBold.otf",
        sizes=(40, 23, 21, 18, 13, 11),
        card_font="Cantarell-ExtraBold.otf",
        rank=(0.61, 0.38, 0.60, 0.56),
        suits=((0.72, 0.84, 0.28),),
        radius=0.15,
        border=0.03,
        face="bars",
        back="lattice",
    ),
    "typewriter": Style(
        regular="Courier Prime Bold.otf",
        bold="Courier Prime Bold.otf",
        sizes=(38, 20, 20, 18, 12, 10),
        card_font="Courier Prime Bold.otf",
        rank=(0.61, 0.34, 0.60, 0.50),
        suits=((0.61, 0.80, 0.46),),
        radius=0.0,
        border=0.035,
        face="bars",
        back="stripes",
    ),
    "storybook": Style(
        regular="Caladea-Bold.ttf",
        bold="Caladea-Bold.ttf",
        sizes=(42, 24, 22, 19, 14, 12),
        card_font="Caladea-Bold.ttf",
        rank=(0.60, 0.66, 0.60, 0.54),
        suits=((0.61, 0.20, 0.38),),
        radius=0.10,
        border=0.014,
        inner_frame=True,
        face="crown",
        back="rings",
    ),
    "comic": Style(
        regular="ComicNeue-Bold.otf",
        bold="ComicNeue-Bold.otf",
        sizes=(42, 25, 23, 20, 14, 11),
        card_font="ComicNeue-Bold.otf",
        rank=(0.62, 0.35, 0.56, 0.50),
        suits=((0.30, 0.80, 0.38), (0.72, 0.80, 0.38)),
        radius=0.14,
        border=0.045,
        face="crown",
        back="stripes",
    ),
    # Of the family of looks that training may show; see `vlbench.themes.family`.
    "headline": Style(
        regular="OpenSans-Bold.ttf",
        bold="OpenSans-ExtraBold.ttf",
        sizes=(38, 22, 20, 17, 13, 10),
        card_font="OpenSans-ExtraBold.ttf",
        rank=(0.60, 0.64, 0.60, 0.44),
        suits=((0.42, 0.24, 0.32), (0.76, 0.24, 0.32)),
        radius=0.05,
        border=0.02,
        face="bars",
        back="lattice",
    ),
    "ledger": Style(
        regular="DejaVuSerif-Bold.ttf",
        bold="DejaVuSerif-Bold.ttf",
        sizes=(34, 20, 18, 15, 12, 9),
        card_font="DejaVuSerif-Bold.ttf",
        rank=(0.62, 0.50, 0.58, 0.52),
        suits=((0.62, 0.13, 0.24), (0.62, 0.88, 0.24)),
        radius=0.02,
        border=0.022,
        face="bars",
        back="rings",
    ),
    "bubble": Style(
        regular="Quicksand-Bold.ttf",
        bold="Quicksand-Bold.ttf",
        sizes=(40, 23, 21, 18, 13, 11),
        card_font="Quicksand-Bold.ttf",
        rank=(0.61, 0.40, 0.58, 0.46),
        suits=((0.50, 0.82, 0.26), (0.80, 0.82, 0.26)),
        turned_index=False,
        radius=0.18,
        border=0.025,
        face="crown",
        back="stripes",
    ),
    # Sealed: never in training, tuning or a page.
    "gazette": Style(
        regular="LinLibertine_RB.otf",
        bold="LinLibertine_RB.otf",
        sizes=(42, 24, 22, 19, 14, 12),
        card_font="LinLibertine_RB.otf",
        rank=(0.62, 0.52, 0.58, 0.40),
        suits=((0.46, 0.16, 0.22), (0.78, 0.16, 0.22), (0.46, 0.88, 0.22), (0.78, 0.88, 0.22)),
        radius=0.06,
        border=0.02,
        face="pennants",
        back="dots",
    ),
    "circuit": Style(
        regular="Play-Bold.ttf",
        bold="Play-Bold.ttf",
        sizes=(38, 22, 21, 18, 13, 11),
        card_font="Play-Bold.ttf",
        rank=(0.61, 0.57, 0.60, 0.42),
        suits=((0.42, 0.22, 0.26), (0.78, 0.22, 0.26), (0.60, 0.87, 0.20)),
        radius=0.09,
        border=0.04,
        face="blocks",
        back="checks",
    ),
}
