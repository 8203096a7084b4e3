"""The package installs what its documentation promises."""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
checkout = pytest.mark.skipif(not (ROOT / "README.md").exists(), reason="not run in a checkout")


@pytest.mark.extra
@pytest.mark.parametrize("name", ["pygame", "jinja2", "pydantic", "hypothesis"])
def test_the_test_extra_installs_what_the_default_suite_needs(name):
    importlib.import_module(name)


@checkout
def test_ci_runs_the_readmes_test_command():
    commands = re.findall(r"^(python3 -m venv .*)$", (ROOT / "README.md").read_text(), re.M)
    assert len(commands) == 2 and "agents.evaluate" in commands[0]
    ci = (ROOT / ".ci" / "run").read_text()
    assert commands[1] in ci.replace("install -qc", "install -c")


@checkout
def test_what_ci_requires_exists():
    for line in (ROOT / ".ci" / "required-slow.txt").read_text("utf-8").splitlines():
        file, *names = line.partition("[")[0].split("::")
        if not line.startswith("#"):
            text = (ROOT / file).read_text("utf-8")
            assert all(f"def {name}(" in text for name in names), line


@checkout
def test_every_python_block_of_the_readme_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert len(blocks) >= 2
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {"print": lambda *values: None})


@checkout
def test_no_file_is_longer_than_400_lines():
    for package in ("vlbench", "agents", "leaderboard"):
        for path in (ROOT / package).rglob("*.py"):
            assert len(path.read_text("utf-8").splitlines()) <= 400, path
