"""The documentation site: built with warnings as errors, whole, and without the network."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOADED = re.compile(r'<(?:script|link|img|iframe)[^>]+(?:src|href)="(https?:[^"]+)"')


@pytest.mark.slow
@pytest.mark.skipif(not (ROOT / "mkdocs.yml").exists(), reason="not run in a checkout")
def test_the_site_is_built_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    pages = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.html")}
    sources = {path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")}
    made = {"contributing.html", "notebook.html"}
    wanted = {path.with_suffix(".html").as_posix() for path in sources} - {"README.html"}
    assert (wanted | made) <= pages and "index.html" in pages
    for path in tmp_path.rglob("*.html"):
        loaded = re.findall(
            r'<(?:script|link|img|iframe)[^>]+(?:src|href)="(https?:[^"]+)"', path.read_text()
        )
        assert loaded == [], path
    reference = (tmp_path / "api.html").read_text("utf-8")
    assert "Keyword arguments of the environments." in reference, "docstrings are on the page"
    assert "Write a well-formed reply" in reference
