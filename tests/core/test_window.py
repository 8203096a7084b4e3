"""The window of `render_mode="human"`, without a screen."""

import os
import subprocess
import sys

import gymnasium
import numpy as np
import pygame
import pytest

import vlbench
from vlbench.window import Window

pytestmark = pytest.mark.extra


@pytest.fixture(autouse=True)
def no_screen(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setattr("vlbench.window.FRAMES_PER_SECOND", 1000)
    yield
    pygame.quit()


def test_the_human_mode_shows_the_frames_upscaled():
    env = gymnasium.make("vlbench/NumberLine-v0", render_mode="human")
    observation, _ = env.reset(seed=0)
    surface = pygame.display.get_surface()
    pixels = pygame.surfarray.array3d(surface).swapaxes(0, 1)
    assert np.array_equal(pixels, observation["image"].repeat(2, 0).repeat(2, 1))
    assert env.render() is None
    env.close()
    env.close()
    env.reset(seed=0)
    assert pygame.display.get_surface() is not None, "a closed environment may be used again"
    env.close()


def test_the_episode_goes_on_after_the_window_is_closed():
    env = gymnasium.make("vlbench/NumberLine-v0", render_mode="human", max_position=50)
    env.reset(seed=0)
    pygame.event.post(pygame.event.Event(pygame.QUIT))
    env.step(vlbench.reply("+"))
    assert pygame.display.get_surface() is None
    env.step(vlbench.reply("+"))
    assert pygame.display.get_surface() is None, "it stays closed"
    env.close()


def test_two_windows_share_pygames_only_window():
    frame = np.zeros((300, 300, 3), np.uint8)
    first, second = Window("first"), Window("second", margin=100)
    for window in (first, second, first):
        window.paint(frame)
        assert window.surface.get_size() == window.size
    second.close()
    first.paint(frame)
    first.close()


CHECK = """
import sys, warnings
import gymnasium
from gymnasium.utils.env_checker import check_env
import vlbench
with warnings.catch_warnings():
    warnings.simplefilter("error")
    # pygame imports pkg_resources where it is installed.
    warnings.filterwarnings("ignore", ".*pkg_resources", DeprecationWarning)
    check_env(gymnasium.make(sys.argv[1]).unwrapped)
"""


def without_a_screen(*arguments):
    hidden = ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    return subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is always a screen")
@pytest.mark.parametrize("env_id", ["vlbench/NumberLine-v0", "rl4vlm/Blackjack-v0"])
def test_gymnasiums_checker_passes_on_a_machine_without_a_screen(env_id):
    done = without_a_screen("-c", CHECK, env_id)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is always a screen")
def test_a_person_is_told_that_there_is_no_screen_to_play_on():
    done = without_a_screen("-m", "vlbench.play", "NumberLine")
    assert done.returncode == 2
    assert "can't open a window" in done.stderr.splitlines()[-1]
