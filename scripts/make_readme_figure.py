"""Draw README's figure: `python -m scripts.make_readme_figure docs/turn.png`.

Left, one recorded turn of a bundled model: frame, prompt, reply and the frame after the action.
Right, the tasks. Needs the extras `train` (fonts of matplotlib) and `alfworld`.
"""

import json
import sys
import tempfile
import textwrap
from pathlib import Path

import gymnasium
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

import vlbench
from agents.evaluate import evaluate
from vlbench.records.episode import Episode
from vlbench.registry import short_name
from vlbench.suites import frozen_rows

MODEL, ENV, ROWS, TURN = "llava-rl", "Points24", 8, 3
"""The player, the task, the rows of `test` to play, and the turn to draw of the first win."""

THEMES = ("classic", "comic", "midnight")
"""Themes of the tasks, used in turn."""

WIDTH, HEIGHT, MARGIN, SMALL = 1280, 744, 24, 200
INK, GREY, LINE, GREEN = (31, 35, 40), (101, 109, 118), (208, 215, 222), (26, 127, 55)


def font(name: str, size: int) -> ImageFont.FreeTypeFont:
    """Return a font that matplotlib ships."""
    return ImageFont.truetype(font_manager.findfont(name, fallback_to_default=False), size)


def recorded_episode() -> Episode:
    """Play; return the first episode that is won."""
    with tempfile.TemporaryDirectory() as folder:
        run = evaluate(MODEL, ENV, episodes=ROWS, out=Path(folder) / "run", concurrency=ROWS)
        return next(episode for episode in run.episodes if episode.success)


def task_frame(env_id: str, theme: str) -> Image.Image:
    """Return the middle frame of the expert's episode on a task's first frozen row."""
    row = frozen_rows(env_id, "test")[0]
    env = gymnasium.make(env_id, **{**row.kwargs, "theme": theme})
    start = {"instance": row.instance, "presentation": row.presentation}
    frames = [env.reset(options=start)[0]["image"]]
    over = False
    while not over:
        reply = vlbench.reply(env.unwrapped.expert())
        observation, _, terminated, truncated, _ = env.step(reply)
        frames.append(observation["image"])
        over = terminated or truncated
    env.close()
    middle = Image.fromarray(frames[(len(frames) - 1) // 2])
    return middle.resize((SMALL, SMALL), Image.Resampling.LANCZOS)


class Page:
    """A white page to draw on."""

    def __init__(self) -> None:
        self.image = Image.new("RGB", (WIDTH, HEIGHT), "white")
        self.draw = ImageDraw.Draw(self.image)
        self.title = font("DejaVu Sans:bold", 17)
        self.text = font("DejaVu Sans", 15)
        self.code = font("DejaVu Sans Mono", 15)

    def heading(self, x: int, y: int, text: str) -> None:
        """Write a heading."""
        self.draw.text((x, y), text, INK, self.title)

    def paste(self, x: int, y: int, image: Image.Image) -> None:
        """Place a picture in a thin frame."""
        self.image.paste(image, (x, y))
        self.draw.rectangle((x - 1, y - 1, x + image.width, y + image.height), outline=LINE)

    def lines(
        self,
        x: int,
        y: int,
        lines: list[str],
        colour: tuple[int, int, int] = GREY,
        code: bool = False,
    ) -> int:
        """Write lines; return the y below them."""
        for line in lines:
            self.draw.text((x, y), line, colour, self.code if code else self.text)
            y += 21
        return y


def draw_turn(page: Page) -> None:
    """Draw the recorded turn on the left of the page."""
    episode = recorded_episode()
    env = gymnasium.make(episode.env_id, **episode.kwargs)
    start = {"instance": episode.instance, "presentation": episode.presentation}
    observation, _ = env.reset(options=start)
    for turn in episode.turns[:TURN]:
        observation, *_ = env.step(turn.reply.text)
    reply = episode.turns[TURN].reply.text
    after, _, _, _, info = env.step(reply)

    x, middle = MARGIN, MARGIN + 330
    page.heading(x, 20, "1  The model sees a picture")
    page.paste(x, 52, Image.fromarray(observation["image"]))
    page.heading(middle, 20, "and a text.")
    page.lines(middle, 52, textwrap.wrap(observation["text"].split("\n")[0], 46))
    page.heading(x, 382, "2  It writes its thoughts and an action.")
    fields = [
        f"{json.dumps(name)}: {json.dumps(value)}" for name, value in json.loads(reply).items()
    ]
    code = ["{"]
    for number, field in enumerate(fields):
        comma = "," if number < len(fields) - 1 else ""
        code += textwrap.wrap(field + comma, 44, subsequent_indent="    ", initial_indent="  ")
    bottom = page.lines(x, 414, [*code, "}"], INK, code=True)
    assert bottom < HEIGHT
    page.heading(middle + 130, 382, "3  The world moves.")
    page.paste(middle + 130, 414, Image.fromarray(after["image"]).resize((SMALL + 40,) * 2))
    page.lines(middle + 130, 664, [f'action "{info["action"]}": read by vlact-2'], GREEN)


def main(path: str) -> None:
    page = Page()
    draw_turn(page)
    column = WIDTH - MARGIN - 2 * SMALL - 24
    page.draw.line((column - 28, 20, column - 28, HEIGHT - 20), LINE)
    for number, env_id in enumerate(vlbench.ENV_IDS):
        x, y = column + number % 2 * (SMALL + 24), 20 + number // 2 * (SMALL + 36)
        page.heading(x, y, short_name(env_id))
        page.paste(x, y + 28, task_frame(env_id, THEMES[number % len(THEMES)]))
    page.image.save(path, optimize=True)


if __name__ == "__main__":
    main(sys.argv[1])
