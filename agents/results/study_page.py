"""The page of results: a template whose figures are read from the result lines.

`RESULTS.md.in`, beside the lines `RESULTS.jsonl`, is the template, and `RESULTS.md` the page. A
placeholder is a name of what the study renders, as `{{tables}}`, or a look at lines:

    Of 100 rows, {{agent=llava-rl env=EZPoints: [success %1]}} are won.

    | iteration | error |
    |---|---|
    {{what=served-rollouts: | [iteration] | [mismatch .5f] |}}

What stands before the colon selects lines by their fields; a dot leads into a record or a list. The
text is written with the line's fields, each with a format: Python's, `%1` for a percentage with one
digit, or `p1` for percentage points. A row of a table, which begins with "|", is written once for
each line that is selected; for any other text, it must be one line. A selection that begins with
the name of a file, as `controls.jsonl env=EZPoints`, looks there.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from agents.results.study_lines import Line, read_lines
from vlbench.display.formatting import MISSING, number, signed

TEMPLATE = ".md.in"
"""Suffix of the template."""
PLACEHOLDER = re.compile(r"\{\{([^{}]+)\}\}")
FIELD = re.compile(r"\[([\w./-]+)(?: ([^\]]+))?\]")


def write_page(results: Path, values: Mapping[str, str]) -> Path:
    """Write the page of a file of result lines; return it.

    Args:
        results: The file of result lines.
        values: What the template may name; without a template, the page is the value of `tables`.

    Raises:
        ValueError: A placeholder is wrong.
    """
    page = results.with_suffix(".md")
    page.write_text(render_page(results, values), "utf-8")
    return page


def render_page(results: Path, values: Mapping[str, str]) -> str:
    """Return the text of a page; see `write_page`."""
    template = results.with_suffix(TEMPLATE)
    if not template.is_file():
        return f"{values['tables']}\n"
    try:
        return render(template.read_text("utf-8"), values, results)
    except ValueError as error:
        raise ValueError(f"{template}: {error}") from error


def render(template: str, values: Mapping[str, str], results: Path) -> str:
    """Put values and fields of lines in the place of placeholders.

    Args:
        template: The text.
        values: Name → text.
        results: The file of result lines; others that the template names are beside it.

    Raises:
        ValueError: A placeholder is wrong: it names nothing, selects no line or several, or its
            format doesn't fit.
    """
    files = dict[str, list[Line]]()

    def lines_of(name: str) -> list[Line]:
        if name not in files:
            path = results.with_name(name)
            if not path.is_file():
                raise ValueError(f"there is no {path}")
            files[name] = read_lines(path)
        return files[name]

    def fill(match: re.Match[str]) -> str:
        selection, colon, text = match[1].partition(":")
        if not colon:
            return _named(selection.strip(), values)
        words = selection.split()
        name = words.pop(0) if words and words[0].endswith(".jsonl") else results.name
        lines = _select(words, lines_of(name))
        row = text.lstrip().startswith("|")
        if not lines or (len(lines) > 1 and not row):
            raise ValueError(
                f"{match[0]} selects {len(lines)} lines of {name}; "
                f"wanted {'at least one' if row else 'one'}"
            )
        return "\n".join(_written(text.strip(), line) for line in lines)

    return PLACEHOLDER.sub(fill, template)


def _named(name: str, values: Mapping[str, str]) -> str:
    if name not in values:
        raise ValueError(
            f"no value is called {name!r}; a look at lines has a colon, as in {{{{a=1: [b]}}}}"
        )
    return values[name]


def _select(conditions: Sequence[str], lines: Sequence[Line]) -> list[Line]:
    pairs = dict[str, str]()
    for condition in conditions:
        path, equals, pairs[path] = condition.partition("=")
        if not equals:
            raise ValueError(f"wanted field=value before the colon, got {condition!r}")
    return [line for line in lines if all(_is(line, *pair) for pair in pairs.items())]


def _is(line: Line, path: str, value: str) -> bool:
    try:
        field = _look_up(line, path)
    except ValueError:
        return False
    return value == (field if isinstance(field, str) else json.dumps(field))


def _look_up(line: Line, path: str) -> Any:
    """Return what a path of names and places leads to; a name may have dots itself."""
    value, rest = line, path
    while rest:
        names = value if isinstance(value, dict) else ()
        if isinstance(value, list):
            names = [str(place) for place in range(len(value))]
        prefixes = [name for name in names if rest == name or rest.startswith(f"{name}.")]
        if not prefixes:
            raise ValueError(f"no field {path!r} in {json.dumps(line)[:80]}")
        name = max(prefixes, key=len)
        value = value[int(name) if isinstance(value, list) else name]
        rest = rest[len(name) + 1 :]
    return value


def _written(text: str, line: Line) -> str:
    return FIELD.sub(lambda match: _formatted(_look_up(line, match[1]), match[2] or ""), text)


FORMATS: dict[str, Callable[[float, int], str]] = {
    "%": lambda value, digits: f"{number(100 * value, digits)} %",
    "p": lambda value, digits: signed(100 * value, digits),
}
"""First letter of a format of ours → how it writes a number, with so many digits."""


def _formatted(value: Any, form: str) -> str:
    if value is None:
        return MISSING
    try:
        if form[:1] in FORMATS:
            return FORMATS[form[0]](value, int(form[1:] or 0))
        if isinstance(value, dict | list):
            raise TypeError
        return format(value, form)
    except (ValueError, TypeError):
        raise ValueError(f"{json.dumps(value)[:80]} can't be written as {form or 'text'}") from None
