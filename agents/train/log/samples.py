"""A page with turns of a rollout: what was shown, what was written, what it earned.

Pictures are drawn anew by replay. What the model wrote is never trusted: every text is escaped.
"""

import base64
import html
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from vlbench.diagnose.replayed import Moment, moments
from vlbench.diagnose.rollouts import RolloutTurn, read_rollouts
from vlbench.display.episode_view import page_part, shortened
from vlbench.display.formatting import number
from vlbench.observation import png
from vlbench.records import Reply

EPISODES = 6
"""Episodes that a page shows."""
TURNS = 30
"""Most turns that a page shows."""

STYLE = """
body { max-width: 76rem; padding: 1.2rem; }
.turn { display: grid; grid-template-columns: 220px 1fr; gap: 1rem; margin: 1rem 0; }
.turn img { width: 220px; image-rendering: auto; border: 1px solid var(--line); }
.turn pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: .2rem 0 .6rem; }
.turn .about, details { color: var(--soft); font-size: .85rem; }
"""


def write_samples(rollout: Path) -> Path:
    """Write the page of a rollout beside its file, `000010.html` for `000010.jsonl`.

    Args:
        rollout: A file of turns.

    Returns:
        The page.

    Raises:
        OSError: A file can't be read or written.
    """
    parts: list[str] = []
    key = ""
    try:
        episodes = read_rollouts(rollout).episodes[:EPISODES]
        for moment in islice(moments(episodes), TURNS):
            if moment.record.episode != key:
                key = moment.record.episode
                parts.append(f"<h2>{html.escape(moment.record.instance)}</h2>")
            parts.append(_turn(moment))
    except ValueError as error:  # an environment that doesn't replay
        parts.append(f"<p class=hint>The rest can't be replayed: {html.escape(str(error))}</p>")
    page = rollout.with_suffix(".html")
    page.write_text(_page(f"Rollout {rollout.stem}", parts), "utf-8")
    return page


def _page(title: str, parts: Sequence[str]) -> str:
    return (
        "<!doctype html>\n<html lang=en><meta charset=utf-8>"
        '<meta name=viewport content="width=device-width">'
        f"<title>{title}</title><style>{page_part('page.css')}{STYLE}</style>"
        f"<h1>{title}</h1><p class=hint>The first turns of {EPISODES} episodes. The file beside "
        "this page has every turn; <code>vlbench diagnose</code> reads it.</p>"
        f"{''.join(parts)}</html>\n"
    )


def _turn(moment: Moment) -> str:
    """Return a turn as HTML, and play it."""
    observation, record = moment.recorder.observation, moment.record
    picture = base64.b64encode(png(observation["image"])).decode()
    prompt = html.escape(observation["text"])
    played = moment.recorder.play(Reply(record.reply))
    return (
        f'<div class=turn><img alt="" src="data:image/png;base64,{picture}"><div>'
        f"<div class=about>turn {record.turn} · {html.escape(_about(record))}"
        f" · read as {html.escape(str(played.action or played.status))}</div>"
        f"<pre>{html.escape(shortened(record.reply))}</pre>"
        f"<details><summary>prompt</summary><pre>{prompt}</pre></details></div></div>"
    )


def _about(record: RolloutTurn) -> str:
    """Return a turn's numbers in words."""
    numbers = {
        "reward": record.reward,
        "advantage": record.advantage,
        "value": record.value,
        "log p": record.log_prob,
    }
    return " · ".join(f"{name} {number(value)}" for name, value in numbers.items())
