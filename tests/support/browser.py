"""A real browser for pages: it is offline, and what a page complains of is kept."""

import importlib.util
import os
import shutil
from pathlib import Path

import pytest

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or ""


def browses(test):
    """Mark a test that opens a browser."""
    for mark in (
        pytest.mark.slow,
        pytest.mark.skipif(
            not CHROMIUM or importlib.util.find_spec("playwright") is None,
            reason="needs chromium (or CHROMIUM=path) and playwright",
        ),
        pytest.mark.filterwarnings("default"),
    ):
        test = mark(test)
    return test


class Visitor:
    """Opens pages of a folder and lists what is wrong with them.

    Args:
        browser: Playwright's.
        folder: Pages may load what lies here, and nothing else.
    """

    def __init__(self, browser, folder: Path) -> None:
        self.complaints: list[str] = []
        self._browser = browser
        self._folder = folder
        self._contexts = []

    def open(self, name, width=1280, scheme="light"):
        """Return a page."""
        context = self._browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
        )
        self._contexts.append(context)
        page = context.new_page()
        complain = self.complaints.append
        page.on("console", lambda message: complain(f"console: {message.text}"))
        page.on("pageerror", lambda error: complain(f"error: {error}"))
        page.on("requestfailed", self._check_failure)
        page.on("request", self._check)
        page.goto((self._folder / name).as_uri())
        return page

    def close(self) -> None:
        """Close all pages."""
        for context in self._contexts:
            context.close()

    def _check_failure(self, request) -> None:
        if request.failure != "net::ERR_ABORTED":  # a picture replaced before it was there
            self.complaints.append(f"failed: {request.url[:200]} {request.failure}")

    def _check(self, request) -> None:
        if not request.url.startswith((self._folder.as_uri(), "data:")):
            self.complaints.append(f"left: {request.url[:200]}")
