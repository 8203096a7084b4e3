"""Draw the atlases under `vlbench/assets/`: all texts and cards of each theme.

An atlas holds coverage by ink (0..255) and no colours; those are in `vlbench/themes/`. It is
a folder with `text.png` (the texts of the benchmark's own pictures, indexed by `text.json`),
`ascii.png` (every printable character, for other labels, indexed by `ascii.json`) and a sheet of
card layers for each card size. A new label needs no new atlas. The script needs Pillow and these
Debian packages: fonts-dejavu-core, fonts-lato, fonts-roboto-slab, fonts-cantarell,
fonts-courier-prime, fonts-crosextra-caladea, fonts-comic-neue, fonts-open-sans, fonts-quicksand,
fonts-linuxlibertine, fonts-play.

    python scripts/make_atlas.py            # all atlases
    python scripts/make_atlas.py classic    # one

It draws each in every size of pictures (`vlbench.themes.SIZES`) from the same outlines; those of
other sizes than 300 are in subfolders, e.g. `classic/448`, with 16 levels of coverage.

Another version of FreeType may draw other glyphs. After a run, check the pictures and update the
golden images. A change of pixels is a change of the benchmark.
"""

import json
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from atlas_styles import STYLES, Style
from PIL import Image, ImageDraw, ImageFont

from vlbench.cards import SUITS, rank_text
from vlbench.sprites import ASSETS, CARD_LAYERS, CARD_SIZES, CHARACTERS
from vlbench.themes import SIZE, SIZES, scaled

OVERSAMPLING = 8
"""Card layers are drawn at this multiple of their size and then reduced."""
NAME_CHARACTERS = tuple("abcdefghijklmnopqrstuvwxyz0123456789 -")
NUMBERS = tuple(str(number) for number in range(14))
OPERATORS = tuple("+-*/()")
ROLES: dict[str, tuple[str, ...]] = {
    "display": ("Target:", "Current:", *NUMBERS[:10]),
    "large": ("Target:", "Formula:", *NUMBERS, *OPERATORS),
    "small": ("Target:", "Formula:", *NUMBERS, *OPERATORS),
    "label": ("Dealer", "Player"),
    "title": NAME_CHARACTERS,
    "name": NAME_CHARACTERS,
}
"""Role of text in the pictures → the texts of the benchmark's own tasks."""

Point = tuple[float, float]


def open_font(name: str, size: int) -> ImageFont.FreeTypeFont:
    """Open an installed font with the basic layout, which all builds of Pillow have."""
    return ImageFont.truetype(name, size, layout_engine=ImageFont.Layout.BASIC)


def draw_texts(style: Style, every_character: bool) -> tuple[Image.Image, dict[str, object]]:
    """Draw the texts of each role on one strip, cropped to the rows that contain ink.

    Args:
        style: The theme's shapes.
        every_character: Draw all characters instead of the benchmark's own texts.

    Returns:
        A sheet with one strip below the other, and its index: role → `row`, `height`, `top`,
        `space` and `widths`, which maps each text of the strip, from the left, to its width.
    """
    index: dict[str, object] = {}
    strips = []
    top_of_strip = 0
    for (role, words), size in zip(ROLES.items(), style.sizes, strict=True):
        font = open_font(style.regular if role in ("large", "small", "name") else style.bold, size)
        drawings = (
            {character: draw_character(character, font, size) for character in CHARACTERS}
            if every_character
            else {word: draw_word(word, font, size) for word in words}
        )
        widths = {text: drawing.width for text, drawing in drawings.items()}
        strip = Image.new("L", (sum(widths.values()), 2 * size))
        x = 0
        for drawing in drawings.values():
            strip.paste(drawing, (x, 0))
            x += drawing.width
        box = strip.getbbox()
        assert box is not None and box[3] < 2 * size
        strips.append(strip.crop((0, box[1], strip.width, box[3])))
        index[role] = {
            "row": top_of_strip,
            "height": box[3] - box[1],
            "top": box[1],
            "space": round(font.getlength(" ")),
            "widths": widths,
        }
        top_of_strip += box[3] - box[1]
    sheet = Image.new("L", (max(strip.width for strip in strips), top_of_strip))
    row = 0
    for strip in strips:
        sheet.paste(strip, (0, row))
        row += strip.height
    return sheet, index


def draw_word(word: str, font: ImageFont.FreeTypeFont, size: int) -> Image.Image:
    """Draw one of the benchmark's own texts; ink beyond the font's advance is cut off."""
    return draw_glyph(word, font, size, 0, width_of(word, font, size))


def draw_character(character: str, font: ImageFont.FreeTypeFont, size: int) -> Image.Image:
    """Draw a character in a cell that holds all of its ink."""
    left, _, right, _ = font.getbbox(character)
    start = min(math.floor(left), 0)
    width = max(width_of(character, font, size), math.ceil(right)) - start
    return draw_glyph(character, font, size, -start, width)


def width_of(text: str, font: ImageFont.FreeTypeFont, size: int) -> int:
    """Return the advance of a text in pixels.

    Spaces get a minimum width, because in some fonts they are too narrow at small sizes.
    """
    width = math.ceil(font.getlength(text))
    return max(width, size // 3 + 1) if text == " " else width


def draw_glyph(
    text: str, font: ImageFont.FreeTypeFont, size: int, x: int, width: int
) -> Image.Image:
    """Draw a text at `x`, in a cell that is high enough for every text of its size."""
    glyph = Image.new("L", (width, 2 * size))
    ImageDraw.Draw(glyph).text((x, 0), text, fill=255, font=font)
    return glyph


def coarsened(mask: Image.Image) -> Image.Image:
    """Return a mask with 16 levels of coverage, which halves the files."""
    return mask.point(lambda value: round(value / 17) * 17)


def save_coarse(mask: Image.Image, path: Path) -> None:
    """Save a mask with 16 levels of coverage, at 4 bits per pixel."""
    indexed = Image.frombytes("P", mask.size, mask.point(lambda value: round(value / 17)).tobytes())
    indexed.putpalette([shade for level in range(16) for shade in (17 * level,) * 3])
    indexed.save(path, optimize=True, bits=4)


def suit_polygons(suit: str) -> list[list[Point]]:
    """Return the outlines of a suit in the unit square, y downwards."""
    if suit == "D":
        side = [(math.cos(a), math.sin(a)) for a in (k * math.pi / 2 for k in range(4))]
        return [[(0.5 + 0.42 * x, 0.5 + 0.5 * y) for x, y in side]]
    turns = [k * math.pi / 60 for k in range(120)]
    stem = [(0.46, 0.55), (0.54, 0.55), (0.56, 0.8), (0.70, 1.0), (0.30, 1.0), (0.44, 0.8)]
    if suit == "C":
        centres = ((0.5, 0.25), (0.25, 0.58), (0.75, 0.58))
        leaf = [(0.245 * math.cos(a), 0.245 * math.sin(a)) for a in turns]
        return [[(x + dx, y + dy) for dx, dy in leaf] for x, y in centres] + [stem]
    heart = [
        (
            math.sin(a) ** 3,
            13 * math.cos(a) - 5 * math.cos(2 * a) - 2 * math.cos(3 * a) - math.cos(4 * a),
        )
        for a in turns
    ]
    if suit == "H":
        return [[(0.5 + 0.5 * x, 0.42 - y / 29) for x, y in heart]]
    return [[(0.5 + 0.48 * x, 0.49 + y / 33) for x, y in heart], stem]


class CardCanvas:
    """One layer of a card, drawn at OVERSAMPLING times its size."""

    def __init__(self, width: int, height: int) -> None:
        self.size = (width, height)
        self.width = width * OVERSAMPLING
        self.height = height * OVERSAMPLING
        self.image = Image.new("L", (self.width, self.height))
        self.draw = ImageDraw.Draw(self.image)

    def reduced(self) -> Image.Image:
        """Return the layer at its final size."""
        return coarsened(self.image.resize(self.size, Image.Resampling.BOX))

    def suit(self, suit: str, x: float, y: float, size: float) -> None:
        """Draw a suit around (x, y)."""
        side = size * self.width
        left, top = x * self.width - side / 2, y * self.height - side / 2
        for outline in suit_polygons(suit):
            self.draw.polygon([(left + side * u, top + side * v) for u, v in outline], fill=255)

    def word(self, text: str, font: str, x: float, y: float, width: float, height: float) -> None:
        """Draw a rank around (x, y), `height` tall, narrowed if wider than `width`."""
        tall, wide = height * self.height, width * self.width
        trial = open_font(font, 1000)
        scale = tall / (trial.getbbox("8")[3] - trial.getbbox("8")[1])
        face = open_font(font, round(1000 * scale))
        left, top, right, bottom = face.getbbox(text, anchor="ls")
        glyph = Image.new("L", (math.ceil(right - left), math.ceil(bottom - top)))
        ImageDraw.Draw(glyph).text((-left, -top), text, fill=255, font=face, anchor="ls")
        glyph = glyph.resize((round(min(glyph.width, wide)), round(tall)))
        corner = (round(x * self.width - glyph.width / 2), round(y * self.height - tall / 2))
        self.image.paste(255, corner, glyph)

    def rounded(self, inset: float, radius: float, width: float | None = None) -> None:
        """Draw a rounded rectangle at `inset` (share of the width) from the edge.

        It is filled if `width` is None; otherwise only its outline of that width is drawn.
        """
        gap = inset * self.width
        box = (gap, gap, self.width - 1 - gap, self.height - 1 - gap)
        if width is None:
            self.draw.rounded_rectangle(box, max(radius - inset, 0) * self.width, fill=255)
        else:
            line = max(round(width * self.width), OVERSAMPLING)
            self.draw.rounded_rectangle(
                box, max(radius - inset, 0) * self.width, outline=255, width=line
            )

    def polygon(self, points: Sequence[Point], box: tuple[float, float, float, float]) -> None:
        """Fill an outline in the unit square, stretched to a box (left, top, width, height)."""
        left, top, width, height = box
        left, width = left * self.width, width * self.width
        top, height = top * self.height, height * self.height
        self.draw.polygon([(left + u * width, top + v * height) for u, v in points], fill=255)


CROWNS: dict[str, list[list[Point]]] = {
    "J": [
        [(0, 1), (0, 0.55), (0.8, 0.55), (0.8, 1)],
        [(0.55, 0.55), (0.8, 0), (1, 0), (0.85, 0.55)],
    ],
    "Q": [[(0, 1), (0, 0.45), (0.2, 0.7), (0.5, 0), (0.8, 0.7), (1, 0.45), (1, 1)]],
    "K": [[(0, 1), (0, 0), (0.25, 0.55), (0.5, 0), (0.75, 0.55), (1, 0), (1, 1)]],
}
"""Headgear in the unit square: a cap with a feather, a coronet, a crown."""
ROWS: dict[str, list[Point]] = {
    "pennants": [(0, 0), (1, 0), (0.5, 1)],
    "blocks": [(0, 0.2), (1, 0.2), (1, 0.8), (0, 0.8)],
}
"""Signs in the unit square, of which J has one, Q two and K three in a row."""
INDEX_WIDTH, INDEX_HEIGHT = 0.20, 0.165


def draw_index(canvas: CardCanvas, style: Style, layer: str) -> None:
    """Draw the rank or the suit of the upper left corner, narrow enough for fanned hands."""
    edge = 0.035 + style.border + (0.03 if style.inner_frame else 0)
    x = edge + INDEX_WIDTH / 2
    top = edge * canvas.width / canvas.height + 0.01
    if layer in SUITS:
        half = INDEX_WIDTH * 0.9 * canvas.width / canvas.height / 2
        canvas.suit(layer, x, top + INDEX_HEIGHT + 0.025 + half, INDEX_WIDTH * 0.9)
    else:
        canvas.word(layer, style.card_font, x, top + INDEX_HEIGHT / 2, INDEX_WIDTH, INDEX_HEIGHT)


def draw_mark(canvas: CardCanvas, style: Style, layer: str) -> None:
    """Draw the marks of a rank or a suit on a card."""
    draw_index(canvas, style, layer)
    if style.turned_index:
        canvas.image.paste(255, (0, 0), canvas.image.rotate(180))
    if layer in SUITS:
        for x, y, size in style.suits:
            canvas.suit(layer, x, y, size)
        return
    x, y, width, height = style.rank
    if layer not in CROWNS:
        canvas.word(layer, style.card_font, x, y, width, height)
        return
    # Signs that stand under the letter, and not over it, let it rise.
    side = -1 if style.face == "blocks" else 1
    canvas.word(layer, style.card_font, x, y + side * height * 0.12, width, height * 0.76)
    top = y - height / 2
    count = "JQK".index(layer) + 1
    if style.face == "crown":
        for outline in CROWNS[layer]:
            canvas.polygon(outline, (x - 0.18, top, 0.36, height * 0.19))
    elif style.face in ROWS:
        row = top if side > 0 else y + height * 0.33
        for i in range(count):
            left = x - 0.1 * count + 0.2 * i + 0.02
            canvas.polygon(ROWS[style.face], (left, row, 0.16, height * 0.17))
    else:
        # Bars across the card, because a dot over the J would look like another letter.
        for i in range(count):
            bar = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]
            canvas.polygon(bar, (x - 0.28, top + i * height * 0.07, 0.56, height * 0.035))


def draw_back(canvas: CardCanvas, style: Style) -> None:
    """Draw the pattern of a card's back inside a margin."""
    step = canvas.width / 7
    line = max(round(canvas.width / 40), 1)
    reach = canvas.width + canvas.height
    if style.back == "rings":
        for k in range(1, 12):
            centre, radius = (canvas.width / 2, canvas.height / 2), k * step * 0.7
            canvas.draw.circle(centre, radius, outline=255, width=line * 2)
    elif style.back in ("dots", "checks"):
        draw_grid(canvas, style.back, step)
    else:
        offset: float = -reach
        while offset < reach:
            canvas.draw.line((offset, 0, offset + reach, reach), fill=255, width=line * 2)
            if style.back == "lattice":
                canvas.draw.line((offset + reach, 0, offset, reach), fill=255, width=line * 2)
            offset += step if style.back == "lattice" else step * 0.8
    window = CardCanvas(*canvas.size)
    window.rounded(0.08, max(style.radius, 0.08))
    canvas.image.paste(0, (0, 0), window.image.point(lambda value: 255 - value))
    window = CardCanvas(*canvas.size)
    window.rounded(0.07, max(style.radius, 0.07), 0.02)
    canvas.image.paste(255, (0, 0), window.image)


def draw_grid(canvas: CardCanvas, sign: str, step: float) -> None:
    """Draw dots in staggered rows, or the dark fields of a chessboard."""
    for row in range(int(canvas.height / step) + 2):
        for column in range(-1, 8):
            x, y = (column + (row % 2) / 2) * step, row * step
            if sign == "dots":
                canvas.draw.circle((x, y), step * 0.27, fill=255)
            else:
                half = step / 2
                canvas.draw.rectangle((x, y, x + half - 1, y + step - 1), fill=255)


def draw_layer(style: Style, layer: str, size: tuple[int, int]) -> Image.Image:
    """Draw one layer of a card: body, face panel, border, back, a rank or a suit."""
    canvas = CardCanvas(*size)
    shapes: dict[str, Callable[[], None]] = {
        "body": lambda: canvas.rounded(0, style.radius),
        "panel": lambda: canvas.rounded(0.05, max(style.radius, 0.05)),
        "border": lambda: canvas.rounded(0, style.radius, style.border),
        "back": lambda: draw_back(canvas, style),
    }
    shapes.get(layer, lambda: draw_mark(canvas, style, layer))()
    if layer == "border" and style.inner_frame:
        canvas.rounded(0.035, style.radius, style.border)
    return canvas.reduced()


def draw_cards(style: Style, size: tuple[int, int]) -> Image.Image:
    """Draw all layers of a card size, one below the other, in the order of `CARD_LAYERS`."""
    width, height = size
    sheet = Image.new("L", (width, height * len(CARD_LAYERS)))
    for i, layer in enumerate(CARD_LAYERS):
        sheet.paste(draw_layer(style, layer, size), (0, i * height))
    return sheet


def draw_atlas(style: Style, folder: Path) -> None:
    """Draw an atlas for pictures of SIZE."""
    folder.mkdir(parents=True, exist_ok=True)
    texts, index = draw_texts(style, every_character=False)
    texts.save(folder / "text.png", optimize=True)
    (folder / "text.json").write_text(json.dumps(index, indent=1) + "\n")
    texts, index = draw_texts(style, every_character=True)
    save_coarse(texts, folder / "ascii.png")
    (folder / "ascii.json").write_text(json.dumps(index, separators=(",", ":")) + "\n")
    for name, size in CARD_SIZES.items():
        draw_cards(style, size).save(folder / f"{name}.png", optimize=True)


def draw_sized_atlas(style: Style, folder: Path, size: int) -> None:
    """Draw an atlas for pictures of another size."""
    folder.mkdir(parents=True, exist_ok=True)
    fonts = tuple(scaled(font, size) for font in style.sizes)
    sized = replace(style, sizes=fonts)
    for name, every_character in (("text", False), ("ascii", True)):
        texts, index = draw_texts(sized, every_character)
        save_coarse(texts, folder / f"{name}.png")
        words = json.dumps(index, separators=(",", ":"))
        (folder / f"{name}.json").write_text(words + "\n")
    for name, (width, height) in CARD_SIZES.items():
        cards = draw_cards(sized, (scaled(width, size), scaled(height, size)))
        save_coarse(cards, folder / f"{name}.png")


def main(names: Sequence[str]) -> None:
    """Draw the atlases of the named themes, or of all."""
    assert {rank_text(rank) for rank in range(1, 14)} | set(SUITS) < set(CARD_LAYERS)
    for name in names or STYLES:
        folder = Path(str(ASSETS)) / name
        draw_atlas(STYLES[name], folder)
        for size in SIZES:
            if size != SIZE:
                draw_sized_atlas(STYLES[name], folder / str(size), size)


if __name__ == "__main__":
    main(sys.argv[1:])
