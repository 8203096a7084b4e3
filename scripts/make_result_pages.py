"""Render the pages of results from their templates and lines.

    python -m scripts.make_result_pages

A page `docs/results/NAME.md` is made of `NAME.md.in` and `NAME.jsonl`; `agents.results.study_page`
says what a template may ask for. A test fails if a page is out of date.
"""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

from agents.calibrate import page as calibrate
from agents.calibrate.lines import Line as CalibrateLine
from agents.controls import page as controls
from agents.controls.lines import Line as ControlLine
from agents.results import study_lines
from agents.results.line_file import read_lines
from agents.results.study_page import TEMPLATE, render_page
from agents.train.credit import learning
from agents.train.credit import page as credit
from agents.train.credit import plan as credit_plan
from agents.train.gains import page as gains
from agents.train.gains.tasks import PLAN
from agents.train.reproduce import report
from agents.train.reproduce.study import MINIATURE

RESULTS = Path(__file__).parent.parent / "docs" / "results"


VALUES: dict[str, Callable[[Path], Mapping[str, str]]] = {
    "baselines": lambda path: learning.values(learning.PLAN, study_lines.read_lines(path)),
    "controls": lambda path: {"tables": controls.render(read_lines(path, ControlLine))},
    "credit": lambda path: credit.values(credit_plan.PLAN, study_lines.read_lines(path)),
    "gains": lambda path: gains.values(PLAN, study_lines.read_lines(path)),
    "miniature": lambda path: {
        "tables": report.tables(MINIATURE, study_lines.read_lines(path), "miniature.png")
    },
    "reading-and-deciding": lambda path: {
        "tables": calibrate.render(read_lines(path, CalibrateLine))
    },
}
"""Name of a page → what its template may name, from the file of lines; the other templates look at
lines alone. Lines of an earlier plan are rendered as well: their page says so."""


def pages() -> dict[Path, str]:
    """Return page → text, up to date."""
    texts = {}
    for template in sorted(RESULTS.glob(f"*{TEMPLATE}")):
        name = template.name.removesuffix(TEMPLATE)
        results = RESULTS / f"{name}.jsonl"
        values = VALUES[name](results) if name in VALUES else {}
        texts[RESULTS / f"{name}.md"] = render_page(results, values)
    return texts


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    for page, text in pages().items():
        page.write_text(text, "utf-8")
