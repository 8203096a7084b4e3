"""The card tasks' games and pictures, and walks through them, for tests of the pictures."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from vlbench.task import SIZE, Frame
from vlbench.tasks.blackjack.game import BlackjackGame
from vlbench.tasks.blackjack.picture import BlackjackPicture
from vlbench.tasks.ez_points.game import EZPointsGame
from vlbench.tasks.ez_points.picture import EZPointsPicture
from vlbench.tasks.number_line.game import NumberLineGame
from vlbench.tasks.number_line.picture import NumberLinePicture
from vlbench.tasks.points24.game import Points24Game
from vlbench.tasks.points24.picture import Points24Picture
from vlbench.themes import THEMES


@dataclass(frozen=True)
class Task:
    game: Any
    picture: Callable[..., Any]
    instance: str
    actions: tuple[str, ...]
    """What the golden shows having been played."""


TASKS = {
    "number_line": Task(NumberLineGame(), NumberLinePicture, "number_line/2-5", ("+",)),
    "number_line_50": Task(NumberLineGame(50), NumberLinePicture, "number_line/9-50", ("+",)),
    "ez_points": Task(EZPointsGame(), EZPointsPicture, "ez_points/2-10", ("10", "+")),
    "points24": Task(Points24Game(), Points24Picture, "points24/3-3-8-8", tuple("8/(3-8/3)")),
    "points24_36": Task(
        Points24Game(36, 11),
        lambda theme, jitter: Points24Picture(theme, jitter, 36, 11),
        "points24/1-11-12-13",
        (*"(((1+", "11", *")+"),
    ),
    "blackjack": Task(BlackjackGame(), BlackjackPicture, "blackjack/17", ("hit",)),
}


every_task = pytest.mark.parametrize("name", TASKS)


every_theme = pytest.mark.parametrize("theme", THEMES)


RUBBISH = np.random.default_rng(0).integers(0, 256, (2, SIZE, SIZE, 3), np.uint8)


def empty_frame() -> Frame:
    """Return a frame that is a view into a larger array and holds random pixels."""
    slab: Frame = RUBBISH.copy()
    frame: Frame = slab[1]
    return frame


def painted(picture: Any, state: Any, look: Any) -> Frame:
    frame = empty_frame()
    picture.paint(frame, state, look, None)
    return frame


def walk(game: Any, instance: str, seed: int) -> Iterator[Any]:
    """Yield the states of an episode: half of the actions are the expert's, half any legal one."""
    choose = random.Random(seed)
    state = game.start(instance)
    yield state
    for turn in range(game.max_turns):
        legal = game.legal(state)
        action = choose.choice(legal)
        if choose.random() < 0.5:
            action = game.expert(state, game.max_turns - turn)
        if action == "=" and choose.random() < 0.8:
            action = choose.choice([token for token in legal if token != "="])
        move = game.step(state, action)
        yield move.state
        if move.terminated:
            return
        state = move.state
