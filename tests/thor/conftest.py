"""Fixtures: a user who has all that ALFWorldThor needs.

Unity, and the X server that it would draw on, are stand-ins (`stand_in_unity.py`), the rest isn't.
"""

import os
import shutil
import socket
import sys
from pathlib import Path

import gymnasium
import pytest
from trials import (
    BED,
    CLEAN,
    COOL,
    DESK,
    HEAT,
    LIGHT,
    NOT_PLAYED,
    PLACE,
    SIDE_TABLE,
    SINK,
    THOR,
    write_program,
    write_trial,
)

from vlbench.tasks.alfworld_thor.requirements import build

UNITY = Path(__file__).with_name("stand_in_unity.py")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home folder that meets all requirements."""
    home = tmp_path_factory.mktemp("home of a user")
    write_trial(home / "data", PLACE, Book=BED)
    write_trial(home / "data", LIGHT, Book=BED, DeskLamp=DESK)
    write_trial(home / "data", CLEAN, Cloth=SIDE_TABLE)
    for trial in NOT_PLAYED:
        write_trial(home / "data", trial, Book=BED)
    write_program(home / "bin" / "xdpyinfo", "exit 0")  # ai2thor runs it if it exists
    with pytest.MonkeyPatch.context() as patch, socket.create_server(("127.0.0.1", 0)) as x:
        patch.setenv("HOME", str(home))
        patch.setenv("ALFWORLD_DATA", str(home / "data"))
        patch.setenv("PATH", f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}")
        patch.setenv("DISPLAY", f"127.0.0.1:{x.getsockname()[1] - 6000}")
        write_program(build(), f'exec "{sys.executable}" "{UNITY}" "$@"')
        yield home


@pytest.fixture
def kitchens(home):
    """Kitchen episodes, which no other test deals because exploring a kitchen is slow."""
    for trial in (HEAT, COOL):
        write_trial(home / "data", trial, Apple=SINK)
    yield
    for trial in (HEAT, COOL):
        shutil.rmtree(home / "data" / "json_2.1.1" / trial)


@pytest.fixture(scope="module")
def shared(home):
    """One environment, shared by the tests that don't break it."""
    env = gymnasium.make(THOR, timeout=60).unwrapped
    yield env
    env.close()


@pytest.fixture
def unity(home):
    """Return a function that gives the process id of the latest fake Unity."""
    return lambda: int((home / "unity.pid").read_text())
