"""Checks: frames show the facts, whole and up to date."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import NamedTuple

import numpy as np

from vlbench.contract.plays import SEEDS, AnyEnv, make_env, play, sample, seeds_within, wander
from vlbench.instances import Presentation
from vlbench.task import Fact, Frame

STARTS = 250
"""Episodes whose first states are compared."""
WALKS = 40
"""Episodes whose later states are compared, too."""
PATIENCE = 2.0
"""Seconds after which no further episode is started."""

LEAST_STEPS = 3
"""Steps of a count that must add the same ink before one that adds none counts as an error."""


class View(NamedTuple):
    """A state as it is drawn in a presentation that all views share."""

    place: str
    facts: Mapping[str, Fact]
    digest: str
    """sha256 of the frame."""
    ink: int
    """Number of pixels that haven't the frame's commonest colour."""


def a_frame_painted_over_equals_one_painted_anew(env_id: str) -> None:
    """Repainting a frame, within an episode or from one to the next, equals a full paint."""
    env = make_env(env_id)
    env.action_space.seed(0)
    for seed in SEEDS:
        for turn in play(env, seed, sample):
            image = turn.observation["image"]
            for colour in (0, 255):
                anew = np.full_like(image, colour)
                env.picture.paint(anew, env._state, env._style)
                assert np.array_equal(image, anew), (
                    f"seed {seed}: painting over another frame gives other pixels; paint() must "
                    "set every pixel, and repaint() every one that differs"
                )


def renders_what_it_observes(env_id: str) -> None:
    """Under "rgb_array", `render()` returns the observation's picture."""
    env = make_env(env_id, render_mode="rgb_array")
    observation, _ = env.reset(seed=0)
    frame = env.render()
    assert frame is not None and np.array_equal(frame, observation["image"]), (
        "render() returns another picture than the observation's"
    )


def the_picture_shows_every_fact(env_id: str) -> None:
    """Frames of different facts differ, when everything that the presentation fixes is the same.

    A frame of a single colour shows nothing, unless its facts say so (0, "", empty), or all frames
    have a single colour.
    """
    views = _views(make_env(env_id))
    same: dict[str, View] = {}
    for view in views:
        other = same.setdefault(view.digest, view)
        differing = {
            name: (other.facts[name], value)
            for name, value in view.facts.items()
            if other.facts.get(name) != value
        }
        assert not differing, (
            f"{other.place} and {view.place} look the same, but differ in these facts: "
            f"{differing}; draw them, or take them out of facts()"
        )
    blank = [view for view in views if view.ink == 0 and any(view.facts.values())]
    assert not blank or len(blank) == sum(view.ink == 0 for view in views) == len(views), (
        f"{blank[0].place} is drawn in a single colour, but has the facts {dict(blank[0].facts)}; "
        "draw them"
    )


def the_picture_shows_everything_counted(env_id: str) -> None:
    """Where each further thing of a count adds the same ink, none is missing.

    The counts are the facts that are integers and the lengths of those that are tuples. If most
    steps of a count add the same number of pixels, every step must add some, and the smallest count
    must have the ink of as many things.
    """
    views = _views(make_env(env_id))
    for name in views[0].facts:
        inks: defaultdict[int, list[int]] = defaultdict(list)
        for view in views:
            value = view.facts.get(name)
            if isinstance(value, tuple) or type(value) is int:
                inks[len(value) if isinstance(value, tuple) else value].append(view.ink)
        _check_steps(name, inks)


def _check_steps(name: str, inks: Mapping[int, Sequence[int]]) -> None:
    """Check that each step of a count adds ink, if most add the same.

    Args:
        name: The fact.
        inks: Count → the ink of the frames with that count.
    """
    counts = sorted(count for count in inks if count >= 0)
    steps = {
        b: median(inks[b]) - median(inks[a])
        for a, b in zip(counts, counts[1:], strict=False)
        if b == a + 1
    }
    if len(steps) < LEAST_STEPS:
        return
    step = median(steps.values())
    usual = [count for count, size in steps.items() if abs(size - step) <= 0.05 * step]
    if step <= 0 or len(usual) < max(LEAST_STEPS, 0.7 * len(steps)):
        return
    if any(max(inks[count]) - min(inks[count]) > 0.5 * step for count in usual):
        return  # other things vary, too
    for count, size in steps.items():
        assert size > 0.25 * step, (
            f'"{name}" from {count - 1} to {count} adds {size:g} pixels to the picture, other '
            f"steps add {step:g}; something counted isn't drawn, or is hidden"
        )
    least = counts[0]
    assert median(inks[least]) > (least - 0.75) * step, (
        f'"{name}" {least} has {median(inks[least]):g} pixels in the picture, and each further one '
        f"adds {step:g}; something counted isn't drawn"
    )


def _views(env: AnyEnv) -> list[View]:
    """Return the first states of many episodes and some later ones, in one presentation."""
    frame = np.empty_like(env.reset(seed=0)[0]["image"])
    shared = env.presentation
    views: list[View] = []
    for seed in seeds_within(PATIENCE, STARTS):
        views.extend(_walk(env, seed, shared, frame, is_short=seed >= WALKS))
    return views


def _walk(
    env: AnyEnv, seed: int, shared: Presentation, frame: Frame, is_short: bool
) -> Iterator[View]:
    choose = wander(np.random.default_rng(seed))
    env.begin(seed, None)
    style = env.picture.style(env._state, shared)
    for turn in range(env.game.max_turns):
        state = env._state
        frame[:] = 0
        env.picture.paint(frame, state, style)
        place = f"{env.presentation.instance}, turn {turn}"
        facts = env.picture.facts(state, style)
        yield View(place, facts, hashlib.sha256(frame.data).hexdigest(), _ink(frame))
        if is_short:
            return
        outcome = env.advance(choose(env))
        if outcome.terminated or outcome.truncated:
            return


def _ink(frame: Frame) -> int:
    pixels = frame.reshape(-1, 3).astype(np.uint32)
    colours = pixels @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    return int(colours.size - np.unique(colours, return_counts=True)[1].max())
