"""The page of a study: a template whose numbers are read from the result lines.

`RESULTS.md.in`, beside the lines, is the template, and `RESULTS.md` the page.
"""

import re
from collections.abc import Mapping
from pathlib import Path

TEMPLATE = ".md.in"
"""Suffix of the template."""
PLACEHOLDER = re.compile(r"\{\{([^{}]+)\}\}")


def write_page(results: Path, values: Mapping[str, str]) -> Path:
    """Render the template beside the lines; return the page.

    Args:
        results: The file of result lines.
        values: What the template may name; without a template, the page is the value of `tables`.

    Raises:
        ValueError: A placeholder names nothing.
    """
    template, page = results.with_suffix(TEMPLATE), results.with_suffix(".md")
    text = template.read_text("utf-8") if template.is_file() else "{{tables}}\n"
    page.write_text(render(text, values), "utf-8")
    return page


def render(template: str, values: Mapping[str, str]) -> str:
    """Put values in the place of placeholders such as `{{NumberLine.test.ppo.success}}`.

    Raises:
        ValueError: A placeholder names nothing.
    """

    def value(match: re.Match[str]) -> str:
        name = match.group(1).strip()
        if name not in values:
            raise ValueError(f"the template asks for {name}, which no result line gives")
        return values[name]

    return PLACEHOLDER.sub(value, template)
