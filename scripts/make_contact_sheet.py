"""Draw a task's pictures in every theme: `python -m scripts.make_contact_sheet Points24 sheet.png`.

One row per theme: a frame from an episode at 300×300, and the same frame at 112×112.
"""

import sys

import gymnasium
from PIL import Image

import vlbench
from vlbench.registry import resolve_env_id
from vlbench.themes import THEMES

SIZES = (300, 112)
MARGIN = 8
TURNS = 3
"""Turns of the expert before the frame."""


def main(name: str, path: str) -> None:
    width = sum(SIZES) + 3 * MARGIN
    sheet = Image.new("RGB", (width, len(THEMES) * (SIZES[0] + MARGIN) + MARGIN), "white")
    for row, theme in enumerate(THEMES):
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


if __name__ == "__main__":
    main(*sys.argv[1:])
