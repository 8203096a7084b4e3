"""Start the commands as a user does: in a process and a folder of their own."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import vlbench

OUTSIDE = Path(__file__).parents[1] / "outside"
"""Agents and tasks that stand outside the packages."""


def start(folder, *arguments, path=()):
    """Start `python -m …` in a folder; `path` comes first on the module search path."""
    root = Path(vlbench.__file__).parent.parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (*path, root)))}
    command = [sys.executable, "-m", *map(str, arguments)]
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=heed_ctrl_c,
    )


def heed_ctrl_c():
    # A shell that starts a job in the background makes it deaf to SIGINT, and so are its children.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def call(folder, *arguments, path=()):
    """Run `python -m …` to its end; return the exit code, stdout and stderr."""
    process = start(folder, *arguments, path=path)
    out, err = process.communicate(timeout=300)  # a machine may be busy
    return process.returncode, out, err


def printed_by_two_processes(program: str) -> set[str]:
    """Return all that a program prints in processes that hash differently."""
    return {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in "12"
    }
