"""An episode as an animated picture: each turn's frame with its prompt and reply beside it.

Records hold no pictures, so that the episode is replayed.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vlbench.display.formatting import counted
from vlbench.recorder import EnvCache, EpisodeRecorder
from vlbench.records import Episode, Turn
from vlbench.registry import short_name
from vlbench.task import Frame

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont
    from PIL.ImageFont import ImageFont as BitmapFont

    Font = FreeTypeFont | BitmapFont

WIDTH, HEIGHT = 960, 460
"""Size of the film, in pixels."""
PICTURE, GAP = 400, 24
"""Edge of the picture, and the margins, in pixels."""
LEFT = PICTURE + 2 * GAP
ROOM = WIDTH - LEFT - GAP
BACK, FAINT, MARK = (27, 29, 34), (150, 154, 162), (255, 214, 102)
"""Colours of the ground, of title and prompt, and of the reply."""
GOOD, BAD = (134, 208, 130), (246, 164, 116)
Colour = tuple[int, int, int]
TITLE, PROMPT, REPLY, RESULT = 16, 13, 15, 16
"""Sizes of the fonts."""
PROMPT_LINES, RESULT_LINES = 4, 6
"""Lines of a prompt that are shown beside the longest reply, and most lines of a result."""
KEPT = 4000
"""Characters from each end of a text that may be shown; more than fit beside the picture."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What one picture of the film shows."""

    frame: Frame
    title: str
    prompt: str
    """What the model was told; "" at the end."""
    reply: str
    """What it wrote; "" at the end."""
    result: str
    """What became of it, in a line."""
    colour: Colour


def scenes(episode: Episode) -> list[Scene]:
    """Replay an episode, and return a scene for each turn and one for the end.

    Raises:
        ValueError: The environment refuses the episode's id, arguments or instance, or it failed
            before its first picture.
    """
    if not episode.final_frame_hash:
        raise ValueError(f"{episode.key} failed before its first picture: {episode.error}")
    recording = EpisodeRecorder(
        EnvCache().of(episode.start), episode.start, episode.row, episode.repeat
    )
    total, name = len(episode.turns), short_name(episode.env_id)
    shown = []
    for number, turn in enumerate(episode.turns, 1):
        if recording.end:
            break
        observation = recording.observation
        title = f"{name}   {episode.instance}   turn {number} of {total}"
        prompt, reply = observation["text"], turn.reply.text
        result, colour = _result(turn)
        shown.append(Scene(np.array(observation["image"]), title, prompt, reply, result, colour))
        recording.play(turn.reply)
    outcome = "Success" if episode.is_success else episode.error or "No success"
    text = f"{outcome}. Return {episode.total:g} after {counted(total, 'turn')}."
    end = np.array(recording.observation["image"])
    colour = GOOD if episode.is_success else BAD
    return [*shown, Scene(end, f"{name}   {episode.instance}   end", "", "", text, colour)]


def _result(turn: Turn) -> tuple[str, Colour]:
    """Return what became of a turn, and whether it is good news, as a colour."""
    action = f'action "{turn.action}"' if turn.action else "no action"
    status = "illegal" if turn.illegal else "" if turn.status == "ok" else turn.status
    parts = [action, status, f"reward {turn.reward:g}"]
    if turn.cause:
        parts += [f"{turn.cause} error", f'expert "{turn.expert}"' if turn.expert else ""]
    is_bad = bool(turn.cause) or turn.reward < 0
    return "   ".join(filter(None, parts)), BAD if is_bad else GOOD


def picture(scene: Scene) -> "Image":
    """Return a scene as a picture of WIDTH × HEIGHT."""
    from PIL import Image, ImageDraw  # slow to import

    canvas = Image.new("RGB", (WIDTH, HEIGHT), BACK)
    frame = Image.fromarray(scene.frame).resize((PICTURE, PICTURE), Image.Resampling.LANCZOS)
    canvas.paste(frame, (GAP, (HEIGHT - PICTURE) // 2))
    draw = ImageDraw.Draw(canvas)
    y = _lines(draw, [scene.title], GAP, TITLE, FAINT)
    result = shortened(scene.result, RESULT, RESULT_LINES)
    y_end = HEIGHT - GAP - 14 - len(result) * _step(RESULT)
    if scene.prompt or scene.reply:
        y += 8
        lines = fitted_lines(scene, y_end - y - 12)
        y = _lines(draw, lines.prompt, y, PROMPT, FAINT)
        y = _lines(draw, lines.reply, y + 12, REPLY, MARK)
    _lines(draw, result, y + 14, RESULT, scene.colour)
    return canvas


@dataclass(frozen=True, slots=True)
class TurnLines:
    """What is written of a turn, line by line."""

    prompt: list[str]
    reply: list[str]


def fitted_lines(scene: Scene, room: int) -> TurnLines:
    """Return the lines of prompt and reply that fit into a height.

    Where both don't, the prompt loses its last lines, and then the reply its middle.

    Args:
        scene: A turn.
        room: The height, in pixels.
    """
    prompt = wrapped(scene.prompt[:KEPT], PROMPT)
    least = min(len(prompt), PROMPT_LINES) * _step(PROMPT)
    text = scene.reply if scene.reply.strip() else "(an empty reply)"
    reply = shortened(text, REPLY, (room - least) // _step(REPLY))
    most = (room - len(reply) * _step(REPLY)) // _step(PROMPT)
    if len(prompt) > most:
        prompt = [*prompt[: most - 1], "…"]
    return TurnLines(prompt, reply)


def shortened(text: str, size: int, most: int) -> list[str]:
    """Return a text's lines; the first and the last ones if there are more than `most`."""
    if len(text) > 2 * KEPT:
        text = f"{text[:KEPT]} {text[-KEPT:]}"  # more would fill lines that aren't shown
    lines = wrapped(text, size)
    return lines if len(lines) <= most else [*lines[:3], "…", *lines[4 - most :]]


def wrapped(text: str, size: int) -> list[str]:
    """Break a text into lines that fit beside the picture; long words are split."""
    lines = []
    for paragraph in text.strip().splitlines():
        line, width = "", 0.0
        for part in re.findall(r"\s+|\S+", paragraph):
            length = sum(_width(character, size) for character in part)
            if line and width + length > ROOM:
                lines.append(line.rstrip())
                line, width, part = "", 0.0, part.lstrip()
            for character in part:
                if width + _width(character, size) > ROOM:
                    lines.append(line)
                    line, width = "", 0.0
                line += character
                width += _width(character, size)
        lines.append(line)
    return lines


@lru_cache(maxsize=4096)
def _width(character: str, size: int) -> float:
    """Return the width of a character, in pixels; kerning makes words narrower than their sum."""
    return float(_font(size).getlength(character))


def _lines(draw: "ImageDraw", lines: Sequence[str], y: int, size: int, colour: Colour) -> int:
    """Draw lines, and return the y coordinate below them."""
    for line in lines:
        draw.text((LEFT, y), line, fill=colour, font=_font(size))
        y += _step(size)
    return y


def _step(size: int) -> int:
    """Return the height of a line, in pixels."""
    return round(size * 1.35)


@lru_cache(maxsize=8)
def _font(size: int) -> "Font":
    from PIL import ImageFont

    return ImageFont.load_default(size)


def write_gif(episode: Episode, path: Path, seconds: float) -> int:
    """Write an episode as an animated GIF, and return the number of its pictures.

    Args:
        episode: The episode.
        path: The file.
        seconds: How long each turn is shown; the end stays twice as long.

    Raises:
        ValueError: The episode can't be replayed.
        OSError: The file can't be written.
    """
    pictures = [picture(scene) for scene in scenes(episode)]
    durations = [round(1000 * seconds)] * (len(pictures) - 1) + [round(2000 * seconds)]
    path.parent.mkdir(parents=True, exist_ok=True)
    pictures[0].save(
        path, "GIF", save_all=True, append_images=pictures[1:], duration=durations, loop=0
    )
    return len(pictures)
