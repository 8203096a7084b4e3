"""Draw README's picture of the tasks: `python scripts/make_readme_figure.py docs/tasks.png`.

One row a group of themes, one column a task, each a frame in the middle of an episode.
"""

import sys

import gymnasium
import numpy as np
from PIL import Image

import vlbench

EPISODES = {
    "NumberLine": ("number_line/1-4", ()),
    "EZPoints": ("ez_points/2-10", ("2", "+")),
    "Points24": ("points24/3-3-8-8", ("8", "/", "(", "3", "-")),
    "Blackjack": ("blackjack/39", ("hit",)),
    "ALFWorld": (
        "alfworld/pick_heat_then_place_in_recep/12-345",
        ("go to fridge 1", "open fridge 1", "take apple 1 from fridge 1"),
    ),
}
"""Task → instance and the actions before the frame."""

MARGIN = 12
MARGINS = ((MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0))


def frame(name: str, theme: str) -> np.ndarray:
    """Return a frame in the middle of an episode."""
    env = gymnasium.make(f"vlbench/{name}-v0", theme=theme)
    instance, actions = EPISODES[name]
    observation, _ = env.reset(options={"instance": instance, "presentation": 4})
    for action in actions:
        observation, *_ = env.step(vlbench.reply(action))
    return observation["image"]


def main(path: str) -> None:
    rows = []
    for theme in ("classic", "comic"):
        frames = [np.pad(frame(name, theme), MARGINS, constant_values=255) for name in EPISODES]
        rows.append(np.concatenate(frames, axis=1))
    Image.fromarray(np.concatenate(rows)).save(path, optimize=True)


if __name__ == "__main__":
    main(sys.argv[1])
