"""Draw a task's pictures in every theme: `python -m scripts.make_contact_sheet Points24 sheet.png`.

Sealed themes are left out, and some looks of the family `varied` are added. One row per theme: a
frame from an episode at 300×300, and the same frame at 112×112. A task of your own has rows
of several episodes, or of the themes that `--themes` names.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import gymnasium
from PIL import Image

import vlbench
from vlbench.cli import Options, option, output_file, parse_options, required, run_main
from vlbench.registry import resolve_env_id
from vlbench.solved_env import SolvedEnv
from vlbench.themes import SEALED, THEME_GROUPS, THEMES, VARIED

SIZES = (300, 112)
MARGIN = 8
LOOKS = (
    *(name for name in THEMES if name not in THEME_GROUPS[SEALED]),
    *(f"{VARIED}-{number}" for number in range(8)),
)
OWN_ROWS = 8
"""Episodes of a task with themes of its own."""
TURNS = 3
"""Turns of the expert before the frame, if the task has one."""


@dataclass(frozen=True, kw_only=True)
class Config(Options):
    """Options of `make_contact_sheet`."""

    task: str = required("a task such as Points24, or MODULE:ID", positional=True, metavar="TASK")
    sheet: Path = required(
        "the picture to write",
        positional=True,
        metavar="SHEET.png",
        check=output_file("a picture", b"\x89png"),
    )
    themes: str = option("", "themes to draw, comma-separated; vlbench's if the task is vlbench's")


def draw_sheet(name: str, path: Path, themes: Sequence[str] = ()) -> None:
    """Draw a task's pictures into a file, in the named themes."""
    env_id = resolve_env_id(name)
    themes = themes or (LOOKS if env_id in vlbench.ENV_IDS else ())
    looks = [{"theme": theme} for theme in themes] or [{}] * OWN_ROWS
    width = sum(SIZES) + 3 * MARGIN
    sheet = Image.new("RGB", (width, len(looks) * (SIZES[0] + MARGIN) + MARGIN), "white")
    for row, kwargs in enumerate(looks):
        env = gymnasium.make(env_id, **kwargs)
        observation, _ = env.reset(seed=row)
        for _ in range(TURNS):
            if not isinstance(env.unwrapped, SolvedEnv):
                break
            action = env.unwrapped.expert()
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
    draw_sheet(config.task, config.sheet, [name for name in config.themes.split(",") if name])


if __name__ == "__main__":
    sys.exit(main())
