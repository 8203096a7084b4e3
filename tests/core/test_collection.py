"""What the tests need: without the extras they are skipped, and never fail at their imports."""

import os
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIGHT = ("vlbench", "pytest", "pytest-xdist", "hypothesis")
"""Distributions of the lightest environment that the tests must pass in."""


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def needed_by(names: tuple[str, ...]) -> set[str]:
    """Return the distributions with all that they need, without extras."""
    closure: set[str] = set()
    queue = list(names)
    while queue:
        name = canonical(queue.pop())
        if name in closure:
            continue
        closure.add(name)
        try:
            needs = requires(name) or []
        except PackageNotFoundError:  # of another platform
            continue
        queue += [re.split(r"[^\w.-]", need)[0] for need in needs if "extra ==" not in need]
    return closure


@pytest.mark.extra
def test_no_test_needs_an_extra_to_be_collected(tmp_path):
    light = needed_by(LIGHT)
    extra = [
        name
        for name, owners in packages_distributions().items()
        if not light & {canonical(owner) for owner in owners}
    ]
    assert "jinja2" in extra
    hide = f"import sys\nfor name in {extra}:\n    sys.modules[name] = None\n"
    (tmp_path / "sitecustomize.py").write_text(hide)
    collection = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-n0"],
        cwd=ROOT,
        env=os.environ
        | {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
        | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "xdist.plugin"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert collection.returncode == 0, collection.stdout[-2000:] + collection.stderr[-2000:]
