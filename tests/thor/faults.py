"""ALFWorldThor when Unity, an episode's file or the user's process fails: an error, never a hang.

`tests/tasks/alfworld_tests/test_alfworld_thor.py` runs this file in its own virtual environment.
"""

import os
import signal
import subprocess
import sys
import time

import gymnasium
import pytest
from trials import PLACE, THOR, ends, play, runs, start, write_program

from vlbench.tasks.alfworld.engine.client import EngineError
from vlbench.tasks.alfworld_thor.requirements import build


def test_a_unity_that_is_killed_is_one_clear_error_at_once_and_the_next_reset_starts_another(
    shared, unity
):
    start(shared, PLACE)
    killed = unity()
    os.kill(killed, signal.SIGKILL)
    before = time.monotonic()
    with pytest.raises(EngineError, match=r"ended by itself.*exited with -9"):
        play(shared, "go to bed 1")
    assert time.monotonic() - before < 10  # the deadline is 60
    with pytest.raises(EngineError, match="isn't running any more"):
        play(shared, "go to bed 2")
    start(shared, PLACE)
    assert unity() != killed and play(shared, "go to bed 1")[1] == 0.0


def test_a_unity_that_leaves_without_complaint_is_an_error_too(shared, unity):
    start(shared, PLACE)
    os.kill(unity(), signal.SIGTERM)
    with pytest.raises(EngineError, match="Unity ended by itself: exit code 0"):
        play(shared, "go to bed 1")


def test_a_unity_that_hangs_is_an_error_at_the_deadline_and_is_killed(shared, unity):
    start(shared, PLACE)
    os.kill(unity(), signal.SIGSTOP)
    shared.game.simulator.timeout, timeout = 2.0, shared.game.simulator.timeout
    before = time.monotonic()
    with pytest.raises(EngineError, match=r"gave no answer in 2 s and was stopped"):
        play(shared, "go to bed 1")
    assert 2 <= time.monotonic() - before < 10 and ends(unity())
    shared.game.simulator.timeout = timeout


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("echo no GL on this display >&2; exit 3", r"no GL on this display.*exited with 3"),
        ('echo $$ > "$HOME/unity.pid"; exec sleep 600', "gave no answer in 8 s"),
    ],
)
def test_a_unity_that_never_speaks_is_one_error(home, unity, program, message):
    original = build().read_text()
    write_program(build(), program)
    env = gymnasium.make(THOR, timeout=8)
    try:
        with pytest.raises(EngineError, match=message) as caught:
            env.reset(seed=0)
        assert "\n" not in str(caught.value)
        assert ends(unity())
    finally:
        build().write_text(original)


def test_a_damaged_episode_is_an_error_that_names_what_is_wrong(shared, home):
    file = home / "data" / "json_2.1.1" / PLACE / "traj_data.json"
    original = file.read_text()
    file.write_text("{}")
    try:
        with pytest.raises(EngineError, match="failed at reset: KeyError: 'scene'"):
            start(shared, PLACE)
    finally:
        file.write_text(original)


def test_closing_stops_unity_and_a_reset_starts_it_again(shared, unity):
    start(shared, PLACE)
    first = unity()
    shared.close()
    assert not runs(first)
    start(shared, PLACE)
    assert unity() != first and runs(unity())


def test_no_unity_is_left_behind_when_the_user_s_process_is_killed(home, unity):
    program = (
        "import time, gymnasium, vlbench\n"
        f"env = gymnasium.make({THOR!r}); env.reset(seed=0); print('begun', flush=True)\n"
        "time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as user:
        assert user.stdout.readline() == b"begun\n"
        assert runs(unity())
        user.kill()
    assert ends(unity())
