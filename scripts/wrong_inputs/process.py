"""Run a command line or a function in a process and a folder of its own.

The process is a copy of this one, which has the libraries imported already, so that hundreds of
commands take minutes rather than an hour. From there on it does what `python -m` does.
"""

import os
import runpy
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from scripts.wrong_inputs.case import Output

ROOT = Path(__file__).parents[2]
MOST_SECONDS = 180


def run(action: Callable[[], object], folder: Path) -> Output:
    """Run a function in a new process.

    Args:
        action: The function. Its exceptions are printed as one line, and exit with code 1.
        folder: The current folder of the process.

    Returns:
        What it printed. The code is -9 if it took more than MOST_SECONDS.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        sys.stdout.flush()
        process = os.fork()
        if not process:
            _run_and_exit(action, folder, out.fileno(), err.fileno())
        status = _wait(process)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode("utf-8", "replace"))
    return Output(os.waitstatus_to_exitcode(status), *texts)


def run_module(command: str) -> None:
    """Run a command line as `python -m` does; raise SystemExit if it ends with a code."""
    module, *arguments = shlex.split(command)
    sys.argv = [module, *arguments]
    sys.path[:0] = [os.getcwd(), str(ROOT)]
    # Without the imports beforehand, runpy would have no reason to warn.
    warnings.filterwarnings("ignore", ".*found in sys.modules", RuntimeWarning)
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def python_m(command: str, code: int = 0) -> Callable[[], None]:
    """Return a step that runs a command line, which must end with an exit code."""

    def step() -> None:
        try:
            run_module(command)
            ended = 0
        except SystemExit as end:
            ended = _exit_code(end)
        assert ended == code, f"{command}: exit code {ended}, wanted {code}"

    return step


def without(command: str, *packages: str) -> Callable[[], None]:
    """Return a step that runs a command line where some packages can't be imported."""

    def step() -> None:
        with tempfile.TemporaryDirectory() as folder:
            lines = [f"sys.modules[{name!r}] = None" for name in packages]
            Path(folder, "sitecustomize.py").write_text("\n".join(["import sys", *lines]), "utf-8")
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join([folder, str(ROOT)])}
            words = [sys.executable, "-m", *shlex.split(command)]
            raise SystemExit(subprocess.run(words, env=environment, check=False).returncode)

    return step


def files_of(folder: Path) -> dict[Path, bytes]:
    """Return the content of each file by its path in the folder."""
    content = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            content[path.relative_to(folder)] = path.read_bytes()
    return content


def _wait(process: int) -> int:
    deadline = time.monotonic() + MOST_SECONDS
    while time.monotonic() < deadline:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return status
        time.sleep(0.01)
    with suppress(ProcessLookupError):
        os.killpg(process, signal.SIGKILL)
    return os.waitpid(process, 0)[1]


def _exit_code(end: SystemExit) -> int:
    if isinstance(end.code, str):
        print(end.code, file=sys.stderr)
        return 1
    return end.code or 0


def _run_and_exit(action: Callable[[], object], folder: Path, out: int, err: int) -> None:
    code = 1
    try:
        os.setpgid(0, 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.chdir(folder)
        action()
        code = 0
    except SystemExit as end:
        code = _exit_code(end)
    except BaseException:  # the boundary of the process: print it as Python does
        traceback.print_exc()
    finally:
        with suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
