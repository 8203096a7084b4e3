"""Draw a task's pictures in every theme: `python -m scripts.make_contact_sheet Points24 sheet.png`.

Sealed themes are left out, and some looks of the family `varied` are added. One row per theme: a
frame from an episode at 300×300, and the same frame at 112×112.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import gymnasium
from PIL import Image

import vlbench
from vlbench.cli import Options, output_file, parse_options, required, run_main
from vlbench.registry import resolve_env_id
from vlbench.themes import SEALED, THEME_GROUPS, THEMES, VARIED

SIZES = (300, 112)
MARGIN = 8
LOOKS = (
    *(name for name in THEMES if name not in THEME_GROUPS[SEALED]),
    *(f"{VARIED}-{number}" for number in range(8)),
)
TURNS = 3
"""Turns of the expert before the frame."""


@dataclass(frozen=True, kw_only=True)
class Config(Options):
    """Options of `make_contact_sheet`."""

    task: str = required("a task such as Points24, or an id", positional=True, metavar="TASK")
    sheet: Path = required(
        "the picture to write",
        positional=True,
        metavar="SHEET.png",
        check=output_file("a picture", b"\x89png"),
    )


def draw_sheet(name: str, path: Path) -> None:
    """Draw a task's pictures into a file."""
    width = sum(SIZES) + 3 * MARGIN
    sheet = Image.new("RGB", (width, len(LOOKS) * (SIZES[0] + MARGIN) + MARGIN), "white")
    for row, theme in enumerate(LOOKS):
        env = gymnasium.make(resolve_env_id(name), theme=theme)
        observation, _ = env.reset(seed=row)
        for _ in range(TURNS):
            action = env.unwrapped.expert()  # type: ignore[attr-defined]
            previous = observation
            observation, _, terminated, truncated, _ = env.step(vlbench.reply(action))
            if terminated or truncated:
                observation = previous
                break
        env.close()
        frame, x = Image.fromarray(observation["image"]), MARGIN
        for size in SIZES:
            picture = frame.resize((size, size), Image.Resampling.LANCZOS)
            sheet.paste(picture, (x, MARGIN + row * (SIZES[0] + MARGIN)))
            x += size + MARGIN
    sheet.save(path)


def main(argv: Sequence[str] | None = None) -> int:
    """Draw; return 0 on success, 2 on a wrong call."""
    return run_main("make_contact_sheet", lambda: _main(argv))


def _main(argv: Sequence[str] | None) -> None:
    prog = "python -m scripts.make_contact_sheet"
    config = parse_options(Config, argv, prog=prog, description=__doc__)
    draw_sheet(config.task, config.sheet)


if __name__ == "__main__":
    sys.exit(main())
