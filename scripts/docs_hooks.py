"""What the documentation site adds to the pages of docs/: `mkdocs build --strict` runs it.

CONTRIBUTING.md and the notebook become pages, links that leave docs/ lead to the repository, and
the results and whatever the navigation doesn't name are listed by themselves.
"""

import json
import re
from pathlib import Path
from posixpath import normpath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
REPOSITORY = "https://github.com/vlbench/vlbench/blob/main/"
NOTEBOOK = DOCS / "first-steps.ipynb"
MADE = ("contributing.md", "notebook.md")
LINK = re.compile(r"(\]\()([^)\s#]+)((?:#[^)\s]*)?\))")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """List the results, and the pages that no part of the navigation names."""
    assert config.nav is not None
    named = set(re.findall(r"[\w./-]+\.md", json.dumps(config.nav)))
    pages = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
    results = [page for page in pages if page.startswith("results/")]
    more = [page for page in pages if page not in named and page not in results]
    for part in config.nav:
        if isinstance(part, dict) and "Results" in part:
            part["Results"] = results
    config.nav += [{"More": more}] if more else []
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made."""
    texts = ((ROOT / "CONTRIBUTING.md").read_text("utf-8"), notebook_page(NOTEBOOK))
    for name, text in zip(MADE, texts, strict=True):
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead links that leave docs/ to the repository."""
    source = page.file.src_uri
    folder = "" if source in MADE else f"docs/{source}".rpartition("/")[0]

    def led(match: re.Match[str]) -> str:
        before, target, after = match.groups()
        if re.match(r"[a-z]+:|/", target):
            return match[0]
        path = normpath(f"{folder}/{target}" if folder else target)
        if path == "CONTRIBUTING.md":
            return f"{before}{'../' * source.count('/')}contributing.md{after}"
        if not path.startswith("docs/"):
            return f"{before}{REPOSITORY}{path}{after}"
        if not path.endswith((".md", ".png")):  # data, or a folder
            return f"{before}{REPOSITORY}{path}{after}"
        if source in MADE:
            return f"{before}{path.removeprefix('docs/')}{after}"
        return match[0]

    return LINK.sub(led, markdown)


def notebook_page(path: Path) -> str:
    """Return a notebook's cells as a page, without outputs."""
    cells: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))["cells"]
    parts = [f"[The notebook](docs/{path.name}) to run, cell by cell:"]
    for cell in cells:
        text = "".join(cell["source"])
        parts.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
    title, rest = parts[1], parts[2:]
    return "\n\n".join([title, parts[0], *rest])
