"""A trial ends whatever the action does, and says why in one line."""

import os
import subprocess
import sys
import time

import pytest
import torch

from agents.vlm.trial import Limits, reason_to_refuse

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="no copies")]

LIMITS = Limits(seconds=1, memory=1 << 30)


def loop():
    while True:
        pass


def nest():
    nest()


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        (lambda: None, ""),
        (lambda: print("x" * 100_000), ""),
        (lambda: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda: int("x\n\x1b[2J"), "invalid literal for int() with base 10: 'x\\n\\x1b[2J'"),
        (lambda: sys.exit(3), "3"),
        (lambda: bytearray(4 << 30), "it needs too much memory"),
        (lambda: torch.zeros(10**10), "it needs too much memory"),
        (nest, "it is nested too deeply"),
        (loop, "it takes more than 1 s"),
        (lambda: os.kill(os.getpid(), 9), "it takes more than 1 s"),
        (os.abort, "its reader crashes (SIGABRT), or needs more than 1 GiB"),
    ],
)
def test_an_action_gets_its_reason(action, reason, capfd):
    assert reason_to_refuse(action, LIMITS) == reason
    assert capfd.readouterr() == ("", "")


def test_an_action_that_waits_is_ended():
    start = time.monotonic()
    assert reason_to_refuse(lambda: time.sleep(1000), LIMITS) == "it takes more than 1 s"
    assert time.monotonic() - start < 60


def test_an_action_changes_nothing_here():
    values = []
    assert reason_to_refuse(lambda: values.append(1), LIMITS) == "" and values == []


# A hook that comes before logging's own: SIGTERM arrives while logging's lock is held for the fork.
STOPPED = """
import ctypes, functools, os, sys, threading
hook = functools.partial(getattr(ctypes.CDLL(None), "raise"), 15)
assert "logging" not in sys.modules
os.register_at_fork(after_in_parent=hook)
import logging
from agents.vlm.trial import reason_to_refuse
from vlbench.cli import run_main

code = run_main("load", lambda: print(reason_to_refuse(lambda: None)))
other = threading.Thread(target=logging.getLogger("new").warning, args=("said",), daemon=True)
other.start()
other.join(20)
sys.exit(1 if other.is_alive() else code)
"""


def test_sigterm_in_the_middle_of_a_fork_stops_and_leaves_no_lock_behind():
    command = [sys.executable, "-c", STOPPED]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (ended.returncode, ended.stdout) == (130, ""), ended.stderr
    assert ended.stderr == "load: stopped\nsaid\n"
