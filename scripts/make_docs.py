"""Generate what follows from the code in docs/ and README: tasks, sets, prompts, fields of records.

    python -m scripts.make_docs

Each part is between two comments in its page; the rest of the page is written by hand. A test fails
if a page is out of date.
"""

import ast
import inspect
import json
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import gymnasium

import vlbench
from vlbench.display.formatting import percent, points
from vlbench.prompts import VARIANTS, template
from vlbench.registry import short_name, task_folder
from vlbench.suites import TEST, frozen_rows, shipped_suites, suite_facts

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PLAYERS = ("random", "heuristic", "expert", "old_expert")
"""Columns of the table of sets."""
SECTION = re.compile(r"^(\w[\w ]*):$")
ARGUMENT = re.compile(r"^(\*{0,2}\w+): (.*)$")
SHARED_OPTIONS = re.compile(r"See `vlbench\.task\.(\w+)`\.")
RECORDS = {
    "vlbench/records/run_spec.py": ("RunSpec", "Challenge"),
    "vlbench/suites.py": ("Row",),
    "vlbench/records/header.py": ("RunHeader", "Preamble", "ModelInfo", "Shard"),
    "vlbench/records/episode.py": ("Episode", "Failure", "Turn", "Reply"),
    "vlbench/scoring.py": ("Scorecard", "Attribution", "GroupScore", "Headline"),
}
DIAGNOSIS = {
    "vlbench/diagnose/report.py": ("Report", "TaskReport", "Leaks"),
    "vlbench/diagnose/credit.py": ("Credit", "Shares"),
    "vlbench/diagnose/behaviour.py": ("TurnRegret", "Thoughts", "Variety"),
    "vlbench/intervals.py": ("Interval",),
}


def pages() -> dict[Path, str]:
    """Return page → text, with the generated parts up to date."""
    ids = "\n\n".join(map(task, vlbench.ENV_IDS))
    original = "\n\n".join(map(task, vlbench.RL4VLM_IDS))
    apart = "\n\n".join(map(task, vlbench.UNRANKED_IDS))
    turn = record("vlbench/diagnose/rollouts.py", "RolloutTurn")
    return {
        ROOT / "README.md": readme(),
        DOCS / "tasks.md": filled(DOCS / "tasks.md", {"tasks": ids, "rl4vlm": original}),
        DOCS / "alfworld-thor.md": filled(DOCS / "alfworld-thor.md", {"tasks": apart}),
        DOCS / "diagnose.md": filled(
            DOCS / "diagnose.md", {"line": turn, "report": tables(DIAGNOSIS)}
        ),
        DOCS / "prompts.md": filled(DOCS / "prompts.md", {"templates": templates()}),
        DOCS / "sets.md": filled(DOCS / "sets.md", {"sets": sets()}),
        DOCS / "records.md": filled(DOCS / "records.md", {"fields": tables(RECORDS)}),
    }


def sets() -> str:
    """Return a table of the frozen sets and of what is known of them."""
    head = (
        *("task", "suite", "rows", "instances", "floor", "ceiling"),
        *("random", "heuristic", "expert", "usual expert", "visual gain, points"),
    )
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for env_id in vlbench.ENV_IDS:
        for suite in shipped_suites(env_id):
            facts = suite_facts(env_id, suite)
            assert facts is not None, f"{env_id} states nothing of {suite}"
            players = [facts.references.get(name) for name in PLAYERS]
            gain = facts.visual_gain
            cells = (
                *(short_name(env_id), f"`{suite}`", str(len(frozen_rows(env_id, suite)))),
                *(str(facts.instances), percent(facts.floor), percent(facts.ceiling)),
                *(f"{percent(p.success)} ({p.regret:.2f})" if p else "" for p in players),
                points(gain.value, gain.low, gain.high) if gain else "",
            )
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


TASK_ROW = re.compile(r"^\| `(vlbench/[\w-]+)`.*\|$", re.MULTILINE)
"""A row of README's table of tasks."""


def readme() -> str:
    """Return README with the last four cells of its table of tasks up to date."""

    def updated(row: re.Match[str]) -> str:
        facts = suite_facts(row[1], TEST)
        assert facts is not None, f"{row[1]} states nothing of {TEST}"
        if not facts.references:
            return row[0]
        rates = [facts.floor, *(facts.references[n].success for n in PLAYERS[1:3]), facts.ceiling]
        cells = row[0].strip("|").split("|")[:-4] + [f" {_rate(rate)} " for rate in rates]
        return f"|{'|'.join(cells)}|"

    return TASK_ROW.sub(updated, (ROOT / "README.md").read_text("utf-8"))


def _rate(share: float) -> str:
    return "100 %" if share == 1 else percent(share)


def filled(page: Path, parts: dict[str, str]) -> str:
    """Return a page with its parts replaced.

    Raises:
        ValueError: The page has no place for a part.
    """
    text = page.read_text("utf-8")
    for name, part in parts.items():
        begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        head, mark, rest = text.partition(begin)
        _, closed, tail = rest.partition(end)
        if not mark or not closed:
            raise ValueError(f"{page} has no place for {name}")
        text = f"{head}{begin}\n{part}\n{end}{tail}"
    return text


def task(env_id: str) -> str:
    """Return an environment's specification, from its class's docstring."""
    module, _, name = str(gymnasium.registry[env_id].entry_point).partition(":")
    env_class = getattr(import_module(module), name)
    assert env_class.__doc__, f"{env_id} has no docstring"
    lines = [f"## `{env_id}`", ""]
    for title, body in sections(env_class.__doc__):
        if not title:
            lines += [plain(" ".join(body)), ""]
        elif title == "Args":
            lines.append("- **Arguments**")
            lines += [f"  - `{name}`: {plain(text)}" for name, text in all_arguments(body)]
        else:
            lines.append(f"- **{title}**: {plain(' '.join(body))}")
    return "\n".join(lines)


def sections(docstring: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the title and the lines of each section; the first has no title."""
    title, body = "", list[str]()
    for line in inspect.cleandoc(docstring).splitlines():
        heading = SECTION.match(line)
        if heading:
            yield title, body
            title, body = heading[1], []
        elif line.strip():
            body.append(line.strip())
    yield title, body


def arguments(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each argument."""
    pairs: list[tuple[str, str]] = []
    for line in lines:
        begin = ARGUMENT.match(line)
        if begin:
            pairs.append((begin[1], begin[2]))
        else:
            name, text = pairs[-1]
            pairs[-1] = name, f"{text} {line}"
    yield from pairs


def all_arguments(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each argument, including those that environments share."""
    for name, text in arguments(lines):
        shared = SHARED_OPTIONS.fullmatch(text)
        if shared:
            yield from shared_options(shared[1])
        else:
            yield name, text


def shared_options(name: str) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each option of a class in `vlbench/task.py`."""
    options = _class_named("vlbench/task.py", name)
    for field, text in _documented_fields(options):
        yield ast.unparse(field.target), text
    for base in options.bases:
        if isinstance(base, ast.Name) and base.id != "TypedDict":
            yield from shared_options(base.id)


def plain(text: str) -> str:
    """Escape Markdown markup outside code."""
    pieces = text.split("`")
    pieces[::2] = [re.sub(r"([*<>|\\])", r"\\\1", piece) for piece in pieces[::2]]
    return "`".join(pieces)


def templates() -> str:
    """Return every template of the benchmark's tasks."""
    parts = []
    for env_id in vlbench.ENV_IDS:
        folder = task_folder(env_id)
        assert folder is not None, f"{env_id} has no folder"
        for variant in VARIANTS:
            text = template(folder, variant).strip("\n")
            parts.append(f"### `{env_id}`, `{variant}`\n\n```text\n{text}\n```")
            hidden = template(folder, variant, memory=True).strip("\n")
            if variant == VARIANTS[0] and hidden != text:
                title = f"### `{env_id}`, `{variant}`, `from_memory=True`"
                parts.append(f"{title}\n\n```text\n{hidden}\n```")
    return "\n\n".join(parts)


def tables(records: dict[str, tuple[str, ...]]) -> str:
    """Return the tables of several records, given by file and name."""
    return "\n\n".join(record(file, name) for file, names in records.items() for name in names)


def record(file: str, name: str) -> str:
    """Return a table of a record's fields, from their attribute docstrings."""
    owner = _class_named(file, name)
    rows = [
        f"| `{ast.unparse(field.target)}` | `{_type(field.annotation)}` "
        f"| {_default(field.value)} | {plain(text)} |"
        for field, text in _documented_fields(owner)
    ]
    doc = plain(" ".join((ast.get_docstring(owner) or "").split()))
    table = "\n".join(["| field | type | default | meaning |", "|---|---|---|---|", *rows])
    bases = "".join(f"All fields of `{ast.unparse(base)}`, and:\n\n" for base in owner.bases)
    return f"### {name}\n\n{doc}\n\n{bases}{table.replace(' | None`', ' or None`')}"


ALIASES = {
    "Count": "int",
    "OptionalCount": "int | None",
    "Note": "str",
    "Name": "str",
    "Sha256": "str",
    "OptionalSha256": "str",
    "Versions": "dict[str, str]",
}
"""Types with limits → the type alone."""


def _type(node: ast.expr) -> str:
    """Return a field's type without its limits."""
    if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "Annotated":
        assert isinstance(node.slice, ast.Tuple)
        node = node.slice.elts[0]
    text = ast.unparse(node)
    return ALIASES.get(text, text)


def _default(node: ast.expr | None) -> str:
    """Return a field's default as JSON; "" if it has none."""
    if node is None:
        return ""
    text = ast.unparse(node)
    match = re.fullmatch(r"field\(default(?:_factory)?=(.+)\)", text)
    text = match[1] if match else text
    if isinstance(node, ast.Constant):
        return f"`{json.dumps(node.value)}`"
    return "`[]`" if text in ("list", "()") else "`{}`"  # the others are dicts and records


def _class_named(file: str, name: str) -> ast.ClassDef:
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    return next(n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == name)


def _documented_fields(owner: ast.ClassDef) -> Iterator[tuple[ast.AnnAssign, str]]:
    """Yield each field of a class with its docstring; "" if it has none."""
    for node, after in zip(owner.body, [*owner.body[1:], None], strict=True):
        if isinstance(node, ast.AnnAssign):
            text = after.value.value if _is_text(after) else ""
            yield node, " ".join(inspect.cleandoc(text).split())


def _is_text(node: ast.AST | None) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def main() -> None:
    """Write the pages that changed."""
    for page, text in pages().items():
        if page.read_text("utf-8") != text:
            page.write_text(text, "utf-8")
            print(page.relative_to(ROOT))


if __name__ == "__main__":
    main()
