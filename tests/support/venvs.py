"""Virtual environments for packages that can't be installed beside the others."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def own_python(name, packages, alone=(), without=(), folder=None):
    """Return the Python of an environment that has these packages; it is made once and kept.

    Args:
        name: Beginning of the folder's name in the cache; the rest is a hash of the packages.
        packages: What to install.
        alone: What to install without what it requires.
        without: What to uninstall again.
        folder: Where it is, if not in the cache.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "vlbench-tests"
    wanted = "\n".join((sys.version, *packages, "alone:", *alone, *without))
    folder = Path(folder or cache / f"{name}-{hashlib.sha256(wanted.encode()).hexdigest()[:12]}")
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        install = [str(python), "-m", "pip", "install", "-q"]
        subprocess.run([*install, "--upgrade", "pip"], check=True)  # an old pip takes minutes
        subprocess.run([*install, *packages], check=True)
        if alone:
            subprocess.run([*install, "--no-deps", *alone], check=True)
        if without:
            subprocess.run([*install[:3], "uninstall", "-qy", *without], check=True)
        (folder / "ready").touch()
    return python


def run_tests(python, file, paths=(), **variables):
    """Run a file of tests in another environment; return (exit code, output).

    It is run without the configuration of this repository's tests, because warnings of other
    packages are errors there.

    Args:
        python: The environment's Python.
        file: The file.
        paths: Folders to import from, besides the repository and its tests.
        **variables: Environment variables.
    """
    variables["PYTHONPATH"] = os.pathsep.join(map(str, (ROOT, ROOT / "tests", *paths)))
    command = [str(python), "-m", "pytest", "-q", "-W", "ignore", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "--noconftest", "-c", os.devnull, "--rootdir", str(ROOT), str(file)],
        cwd=ROOT,
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return done.returncode, done.stdout
