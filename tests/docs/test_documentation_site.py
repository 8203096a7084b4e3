"""The documentation site: built with warnings as errors, whole, and without the network."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.browser import Visitor, browses

ROOT = Path(__file__).parents[2]
LOADED = re.compile(r'<(?:script|link|img|iframe)[^>]+(?:src|href)="(https?:[^"]+)"')


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site."""
    if not (ROOT / "mkdocs.yml").exists():
        pytest.skip("not run in a checkout")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return folder


@pytest.mark.slow
def test_the_site_is_built_without_a_warning_and_loads_nothing_from_elsewhere(site):
    pages = {path.relative_to(site).as_posix() for path in site.rglob("*.html")}
    sources = {path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")}
    made = {"contributing.html", "notebook.html"}
    wanted = {path.with_suffix(".html").as_posix() for path in sources} - {"README.html"}
    assert (wanted | made) <= pages and "index.html" in pages
    for path in site.rglob("*.html"):
        assert LOADED.findall(path.read_text("utf-8")) == [], path
    reference = (site / "api.html").read_text("utf-8")
    assert "Keyword arguments of the environments." in reference, "docstrings are on the page"
    assert "Write a well-formed reply" in reference


@browses
def test_the_search_works_in_a_page_that_is_opened_from_disk(site, browser):
    visitor = Visitor(browser, site)
    page = visitor.open("index.html")
    page.evaluate("document.querySelector('[data-md-toggle=search]').click()")
    page.locator(".md-search__input").press_sequentially("normalized")
    page.locator(".md-search-result__link").first.wait_for(state="attached", timeout=60_000)
    hits = page.locator(".md-search-result__link").evaluate_all("links => links.map(l => l.href)")
    assert any("/reading.html" in hit for hit in hits), hits
    assert not visitor.complaints
    visitor.close()
