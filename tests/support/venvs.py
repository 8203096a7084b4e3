"""Virtual environments for packages that can't be installed beside the others."""

import os
import subprocess
import sys
from pathlib import Path


def own_python(name, packages, folder=None):
    """Return the Python of an environment that has these packages; it is made once and kept.

    Args:
        name: The folder's name in the cache; other packages need another name.
        packages: What to install.
        folder: Where it is, if not in the cache.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "vlbench-tests"
    folder = Path(folder or cache / name)
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        for wanted in (["--upgrade", "pip"], packages):  # an old pip takes minutes to resolve
            subprocess.run([str(python), "-m", "pip", "install", "-q", *wanted], check=True)
        (folder / "ready").touch()
    return python
