"""Draw the icons of ALFWorld under `vlbench/assets/alfworld/`.

Icons of objects come from Noto Emoji (Apache-2.0) if it has them. The other objects, all
receptacles and the state symbols are this project's drawings, in `scripts/drawings/`. Each is drawn
from its outlines in the sizes that pictures of each size need. The script needs Pillow, resvg-py
and the file `icons.json` of the npm package @iconify-json/noto 1.2.9:

    npm pack @iconify-json/noto@1.2.9 && tar xzf iconify-json-noto-1.2.9.tgz
    python scripts/make_icons.py package/icons.json

Another version of the renderer may draw other pixels. After a run, check the pictures and update
the golden images. A change of pixels is a change of the benchmark.
"""

import io
import json
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from PIL import Image
from resvg_py import svg_to_bytes

from vlbench.tasks.alfworld.drawing.icons import COLUMNS, FOLDER, SIZES

DRAWINGS = Path(__file__).parent / "drawings"
SVG = "http://www.w3.org/2000/svg"
NOTO = {
    "alarmclock": "alarm-clock",
    "apple": "red-apple",
    "basketball": "basketball",
    "book": "closed-book",
    "boots": "hiking-boot",
    "box": "package",
    "bread": "bread",
    "candle": "candle",
    "cd": "optical-disk",
    "cellphone": "mobile-phone",
    "chair": "chair",
    "creditcard": "credit-card",
    "dishsponge": "sponge",
    "egg": "egg",
    "houseplant": "potted-plant",
    "knife": "kitchen-knife",
    "laptop": "laptop",
    "lettuce": "leafy-green",
    "mirror": "mirror",
    "newspaper": "newspaper",
    "painting": "framed-picture",
    "pen": "pen",
    "pencil": "pencil",
    "plunger": "plunger",
    "potato": "potato",
    "soapbar": "soap",
    "soapbottle": "lotion-bottle",
    "spoon": "spoon",
    "statue": "moai",
    "teddybear": "teddy-bear",
    "television": "television",
    "tennisracket": "tennis",
    "toiletpaper": "roll-of-paper",
    "tomato": "tomato",
    "vase": "amphora",
    "watch": "watch",
    "window": "window",
}
"""Object → its icon in Noto Emoji."""


def noto_drawings(path: Path) -> dict[str, str]:
    """Return the SVG of each object in the icon set."""
    icons = json.loads(path.read_text())
    side = icons["width"], icons["height"]
    drawings = {}
    for thing, name in NOTO.items():
        icon = icons["icons"][name]
        width, height = icon.get("width", side[0]), icon.get("height", side[1])
        drawings[f"thing/{thing}"] = (
            f'<svg xmlns="{SVG}" xmlns:xlink="http://www.w3.org/1999/xlink" '
            f'viewBox="0 0 {width} {height}">{icon["body"]}</svg>'
        )
    return drawings


def own_drawings(folder: str) -> dict[str, str]:
    """Return the SVG of each drawing in a file of `scripts/drawings/`, e.g. "thing/mug"."""
    ElementTree.register_namespace("", SVG)
    root = ElementTree.parse(DRAWINGS / f"{folder}s.svg").getroot()
    return {
        f"{folder}/{group.get('id')}": (
            f'<svg xmlns="{SVG}" viewBox="0 0 128 128">'
            f"{ElementTree.tostring(group, encoding='unicode')}</svg>"
        )
        for group in root
    }


def rasterised(svg: str, size: int) -> Image.Image:
    """Return a drawing as RGBA with 32 levels per channel, which halves the files."""
    png = bytes(svg_to_bytes(svg_string=svg, width=size, height=size))
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGBA")).astype(np.uint16)
    levels = (pixels * 31 + 127) // 255
    rgba = ((levels * 255 + 15) // 31).astype(np.uint8)
    rgba[rgba[..., 3] == 0] = 0
    image = Image.fromarray(rgba)
    assert image.size == (size, size)
    return image


def main(icons: str) -> None:
    drawings = noto_drawings(Path(icons))
    for folder in ("thing", "place", "cue"):
        own = own_drawings(folder)
        assert not own.keys() & drawings.keys(), own.keys() & drawings.keys()
        drawings |= own
    folder = Path(str(FOLDER))
    folder.mkdir(parents=True, exist_ok=True)
    index = {}
    for size, parts in SIZES.items():
        names = sorted(name for name in drawings if name.split("/")[0] in parts)
        sheet = Image.new("RGBA", (COLUMNS * size, -(-len(names) // COLUMNS) * size))
        for i, name in enumerate(names):
            sheet.paste(rasterised(drawings[name], size), (i % COLUMNS * size, i // COLUMNS * size))
        sheet.save(folder / f"icons-{size}.png", optimize=True)
        index[str(size)] = names
    (folder / "index.json").write_text(json.dumps(index, indent=0) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
