"""The page of results: a template whose figures are read from the result lines.

`RESULTS.md.in`, beside the lines `RESULTS.jsonl`, is the template, and `RESULTS.md` the page. A
placeholder is a name of what the study renders, as `{{tables}}`, or a look at lines:

    Of 100 rows, {{agent=llava-rl env=EZPoints: [success %1]}} are won.

    | iteration | error |
    |---|---|
    {{what=served-rollouts: | [iteration] | [mismatch .5f] |}}

What stands before the colon selects lines by their fields; a dot leads into a record or a list. The
text is written with the line's fields, each with a format: Python's, `%1` for a percentage with one
digit, or `p1` for percentage points. It is written once for each line if it is alone in its line of
the template; elsewhere one line alone may match. A selection that begins with the name of a file,
as `controls.jsonl env=EZPoints`, looks there.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agents.results.study_lines import Line

TEMPLATE = ".md.in"
"""Suffix of the template."""
PLACEHOLDER = re.compile(r"\{\{([^{}]+)\}\}")
FIELD = re.compile(r"\[([\w./-]+)(?: ([^\]]+))?\]")
MISSING = "–"


def write_page(results: Path, values: Mapping[str, str]) -> Path:
    """Render the template beside the lines; return the page.

    Args:
        results: The file of result lines.
        values: What the template may name; without a template, the page is the value of `tables`.

    Raises:
        ValueError: A placeholder names nothing, or not one line.
    """
    template, page = results.with_suffix(TEMPLATE), results.with_suffix(".md")
    text = template.read_text("utf-8") if template.is_file() else "{{tables}}\n"
    page.write_text(render(text, values, results), "utf-8")
    return page


def render(template: str, values: Mapping[str, str], results: Path = Path("lines.jsonl")) -> str:
    """Put values and fields of lines in the place of placeholders.

    Args:
        template: The text.
        values: Name → text.
        results: The file of result lines; others that the template names lie beside it.

    Raises:
        ValueError: A placeholder names nothing, or not one line.
    """

    def fill(match: re.Match[str], alone: bool) -> str:
        selection, colon, text = match[1].partition(":")
        if not colon:
            return _named(selection.strip(), values)
        lines = _select(selection.split(), results)
        if not lines or (len(lines) > 1 and not alone):
            wanted = "a line" if alone else "one line"
            raise ValueError(f"{{{{{match[1]}}}}} wants {wanted}, {len(lines)} match")
        return "\n".join(_written(text.strip(), line) for line in lines)

    def fill_line(line: str) -> str:
        whole = PLACEHOLDER.fullmatch(line)
        return fill(whole, True) if whole else PLACEHOLDER.sub(lambda m: fill(m, False), line)

    return "\n".join(fill_line(line) for line in template.split("\n"))


def _named(name: str, values: Mapping[str, str]) -> str:
    if name not in values:
        raise ValueError(f"the template asks for {name}, which no result line gives")
    return values[name]


def _select(selection: Sequence[str], results: Path) -> list[Line]:
    file = results
    if selection and selection[0].endswith(".jsonl"):
        file, selection = results.with_name(selection[0]), selection[1:]
    wanted = [condition.partition("=") for condition in selection]
    lines = [json.loads(text) for text in file.read_text("utf-8").splitlines()]
    return [line for line in lines if all(_is(line, path, value) for path, _, value in wanted)]


def _is(line: Line, path: str, value: str) -> bool:
    try:
        found = look_up(line, path)
    except ValueError:
        return False
    return value == (found if isinstance(found, str) else json.dumps(found))


def look_up(line: Line, path: str) -> Any:
    """Return what a path of names and places leads to; a name may have dots itself.

    Raises:
        ValueError: It leads nowhere.
    """
    value, rest = line, path
    while rest:
        names = value if isinstance(value, dict) else ()
        if isinstance(value, list):
            names = [str(place) for place in range(len(value))]
        found = [name for name in names if rest == name or rest.startswith(f"{name}.")]
        if not found:
            raise ValueError(f"no field {path!r} in {json.dumps(line)[:80]}")
        name = max(found, key=len)
        value = value[int(name) if isinstance(value, list) else name]
        rest = rest[len(name) + 1 :]
    return value


def _written(text: str, line: Line) -> str:
    return FIELD.sub(lambda match: _formatted(look_up(line, match[1]), match[2] or ""), text)


def _formatted(value: Any, form: str) -> str:
    if value is None:
        return MISSING
    try:
        if form.startswith("%"):
            return f"{100 * value:.{form[1:] or 0}f} %"
        if form.startswith("p"):
            return f"{100 * value:+.{form[1:] or 0}f}"
        return format(value, form)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{value!r} can't be written as {form}") from error
