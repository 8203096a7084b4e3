"""The light tasks under the rules of each of their frozen sets, and walks through them."""

import hashlib
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from PIL import Image
from support.env_ids import LIGHT_IDS

from vlbench.env import VLEnv
from vlbench.registry import short_name
from vlbench.suites import frozen_rows, suites
from vlbench.task import Frame, frame_shape
from vlbench.themes import LOOKS, SEALED, SIZE, SIZES, THEME_GROUPS, THEMES
from vlbench.themes.family import ATLASES, LAYOUTS, look


@dataclass(frozen=True)
class Task:
    env_id: str
    rules: dict[str, Any]
    """Keyword arguments of the environment."""

    def make(self, theme: str, jitter: int, size: int = SIZE) -> VLEnv[Any, Any]:
        looks = {"theme": theme, "jitter": jitter, "picture_size": size}
        env = gymnasium.make(self.env_id, **looks, **self.rules).unwrapped
        assert isinstance(env, VLEnv)
        return env


def tasks_of(env_id: str) -> dict[str, Task]:
    """Name → a task with the rules of the first row of a set."""
    first_rows = {suite: frozen_rows(env_id, suite)[0] for suite in suites(env_id)}
    return {
        f"{short_name(env_id)}-{suite}": Task(
            env_id,
            {name: value for name, value in row.kwargs.items() if name not in ("theme", "jitter")},
        )
        for suite, row in first_rows.items()
    }


TASKS = {name: task for env_id in LIGHT_IDS for name, task in tasks_of(env_id).items()}

every_task = pytest.mark.parametrize("name", TASKS)
SLOW = pytest.mark.slow
every_theme = pytest.mark.parametrize("theme", THEMES)
every_size = pytest.mark.parametrize(
    "size", [pytest.param(size, marks=() if size == SIZE else SLOW) for size in SIZES]
)


def family_sample() -> list[str]:
    """Return the first looks of the family with each pair of a layout and letters."""
    sample: dict[tuple[str, str], str] = {}
    for theme in map(look, range(LOOKS)):
        sample.setdefault((theme.layout, theme.lettering), theme.name)
        if len(sample) == len(LAYOUTS) * len(ATLASES):
            return list(sample.values())
    raise AssertionError(f"some pair is in none of the looks: {sorted(sample)}")


every_look = pytest.mark.parametrize(
    "theme", [*THEMES, *(pytest.param(name, marks=SLOW) for name in family_sample())]
)
"""Each theme and, as a slow test, looks with each layout and each letters of the family."""
every_look_and_size = pytest.mark.parametrize(
    ("theme", "picture_size"),
    [
        *(
            pytest.param(theme, size, marks=() if SIZE == size or theme == "classic" else SLOW)
            for theme in THEMES
            for size in SIZES
        ),
        *(pytest.param(name, SIZE, marks=SLOW) for name in family_sample()),
    ],
)
"""The same and, as slow tests but for one theme, each theme in every size."""

GOLDENS = Path(__file__).parents[1] / "goldens"
SEALED_HASHES = GOLDENS / "sealed.json"
"""File name of a golden → sha256 of its pixels; nobody need see a sealed picture to compare it."""


def check_golden(name: str, theme: str, frame: Frame, rewrite: bool) -> None:
    """Compare a picture with the stored one, or store it."""
    if theme in THEME_GROUPS[SEALED]:
        digest, key = hashlib.sha256(frame.tobytes()).hexdigest(), f"{name}-{theme}"
        hashes = json.loads(SEALED_HASHES.read_text("utf-8")) if SEALED_HASHES.exists() else {}
        if rewrite:
            hashes = dict(sorted({**hashes, key: digest}.items()))
            SEALED_HASHES.write_text(json.dumps(hashes, indent=1) + "\n", "utf-8")
        assert hashes.get(key) == digest, f"{key} differs from what is drawn"
        return
    path = GOLDENS / f"{name}-{theme}.png"
    if rewrite:
        GOLDENS.mkdir(exist_ok=True)
        Image.fromarray(frame).save(path, optimize=True)
    with Image.open(path) as image:
        assert np.array_equal(np.asarray(image), frame), f"{path} differs from what is drawn"


RUBBISH = {
    size: np.random.default_rng(0).integers(0, 256, (2, size, size, 3), np.uint8) for size in SIZES
}


def empty_frame(picture: Any = None) -> Frame:
    """Return a frame that is a view into a larger array and holds random pixels."""
    slab: Frame = RUBBISH[frame_shape(picture)[0]].copy()
    frame: Frame = slab[1]
    return frame


def paint(picture: Any, state: Any, style: Any) -> Frame:
    """A new frame that shows a state."""
    frame = empty_frame(picture)
    picture.paint(frame, state, style)
    return frame


def update(
    picture: Any, frame: Frame, state: Any, style: Any, previous: Any, previous_style: Any
) -> None:
    """Draw over a frame as an environment does."""
    repaint = getattr(picture, "repaint", None)
    if repaint is None or not repaint(frame, state, style, previous, previous_style):
        picture.paint(frame, state, style)


def walk(game: Any, instance: str, seed: int) -> Iterator[Any]:
    """The states of an episode that seldom ends early; half of its actions are the expert's."""
    choose = random.Random(seed)
    state = game.start(instance)
    yield state
    for turn in range(game.max_turns):
        actions = game.legal(state)
        action = choose.choice(actions)
        if choose.random() < 0.5:
            action = game.expert(state, game.max_turns - turn)
        move = game.step(state, action)
        if move.terminated and choose.random() < 0.8:
            others = [game.step(state, other) for other in actions]
            move = choose.choice([other for other in others if not other.terminated] or [move])
        yield move.state
        if move.terminated:
            return
        state = move.state
