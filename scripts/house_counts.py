"""Count properties that keep the source tree readable: `python -m scripts.house_counts [--json]`.

`--root DIR` counts another checkout, even one from before the redesign.

Source files are the Python files of vlbench, agents and leaderboard.

Modules
    Python files directly in a folder, `__init__.py` included.
Imports
    Each `import` of one source module by another, at any depth, and each `import_module` of a
    literal name. `if TYPE_CHECKING` blocks and the parent packages of a submodule don't count.
    `__main__` modules are entry points and may import anything.
An import that points up
    An import from a layer to a higher layer (`LAYERS` in `scripts.source_tree`), from vlbench to
    another package, between agents and leaderboard, or from one task's folder to another's
    (`formula` and `alfworld` are below the tasks that share them).
A circle
    A set of modules that all import each other, directly or through others.
Lines of a function
    From `def` to its last line, without its docstring.
Parameters
    Without `self`, `cls`, `*args` and `**kwargs`.
Participles
    Bindings of the words in PARTICIPLES as variable, parameter, field or attribute.
Parses a turn
    Measured: calls of `vlbench.parsing.parse` while an expert plays five Points24 episodes with all
    replies different, divided by the number of turns.
Files of a new task
    The Python and prompt files of the smallest task's folder, and the source files outside of
    `tasks/` and `rl4vlm/` that name all four card tasks, since such a list may need the new task.
    This is derived from the tree; it doesn't show whether a newcomer needs more.
"""

import ast
import inspect
import json
import os
import subprocess
import sys
import tempfile
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from scripts.source_tree import Tree, bound_names, circles, code_lines, parameters, points_up
from vlbench.cli import Options, existing_folder, option, parse_options, run_main

PARTICIPLES = frozenset(
    "told shown left wanted seen made kept chosen named found given asked begun meant ours "
    "theirs".split()
)
CARD_TASKS = (
    ("NumberLine", "number_line"),
    ("EZPoints", "ez_points"),
    ("Points24", "points24"),
    ("Blackjack", "blackjack"),
)
LINES_OF_A_FUNCTION = 60
PARAMETERS = 7

LIMITS: dict[str, float] = {
    "modules in vlbench": 28,
    "modules in the largest other folder": 20,
    "imports that point up": 0,
    "circles": 0,
    "modules of agents.train that ppo imports": 9,
    "prompt files of a task": 1,
    "functions over 60 lines": 2,
    "functions over 7 parameters": 5,
    "participles bound in source": 100,
    "noqa: E402": 3,
    "fmt: skip": 0,
    "parses a turn": 2,
    "files of a task's own": 7,
    "source files that list the tasks": 4,
}
"""Upper limit of each count; `tests/core/test_house_counts.py` enforces them."""


@dataclass(frozen=True, slots=True)
class Count:
    """One number about a tree."""

    name: str
    value: float
    items: tuple[str, ...] = ()
    """The counted items, for counts whose items are printed."""

    @property
    def limit(self) -> float | None:
        """Upper limit of the number; None if it has none."""
        return LIMITS.get(self.name)


def modules_by_folder(tree: Tree) -> Counter[str]:
    """Return the number of modules directly in each folder."""
    return Counter(path.parent.as_posix() for path in tree.source)


def parses_a_turn(root: Path) -> float:
    """Play episodes and return the number of parser calls per turn.

    Raises:
        ValueError: An episode couldn't be played.
    """
    program = inspect.getsource(_play_and_count) + "_play_and_count()"
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.run(
            [sys.executable, "-c", program],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
        )
    if process.returncode:
        reason = process.stderr.strip().rpartition("\n")[2]
        raise ValueError(f"can't play five episodes in {root}: {reason}")
    calls, turns = json.loads(process.stdout)
    return float(calls / turns)


def _play_and_count() -> None:
    """Print the numbers of parser calls and turns; runs in its own process."""
    import json
    import sys
    from typing import Any

    from agents.evaluate import evaluate
    from agents.players.scripted import Expert
    from vlbench import parsing

    calls = 0

    class Writer(Expert):
        """The expert, with a different text each turn, so that the parser's cache has no effect."""

        replies = 0

        async def act(self, observation: Any, env: Any = None) -> Any:
            if not self.replies:
                sys.setprofile(count)  # only now: a run first checks its frozen rows
            self.replies += 1
            return json.dumps({"thoughts": str(self.replies), "action": self.choose(env.unwrapped)})

    def count(frame: Any, event: str, _: object) -> None:
        nonlocal calls
        calls += event == "call" and frame.f_code is parsing.parse.__code__

    run = evaluate(Writer(), "Points24", episodes=5, out="run")
    sys.setprofile(None)
    print(json.dumps([calls, sum(len(episode.turns) for episode in run.episodes)]))


PROMPT_FILES = ("prompt", "cot", "action_only", "cot_facts")
"""Names of prompt files, current and earlier ones."""


def task_folders(root: Path) -> dict[str, list[Path]]:
    """Return the Python and prompt files of each task's folder."""
    return {
        folder.parent.name: sorted(
            path for path in folder.parent.rglob("*") if path.suffix in (".py", ".txt")
        )
        for folder in sorted((root / "vlbench" / "tasks").glob("*/__init__.py"))
    }


def count_house(root: Path) -> list[Count]:
    """Return all counts of a checkout.

    Raises:
        ValueError: The folder isn't a checkout, or its environments can't be played.
    """
    tree = Tree(root)
    return [*_structure(tree), *_functions(tree), *_words(tree), *_tasks(tree)]


def _structure(tree: Tree) -> Iterator[Count]:
    folders = modules_by_folder(tree)
    others = Counter({name: size for name, size in folders.items() if name != "vlbench"})
    largest = tuple(f"{name} {size}" for name, size in others.most_common(4))
    yield Count("modules in vlbench", folders["vlbench"])
    yield Count("modules in the largest other folder", max(others.values()), largest)
    arrows = tree.imports()
    up = tuple(sorted(str(arrow) for arrow in arrows if points_up(arrow)))
    yield Count("imports that point up", len(up), up)
    groups = tuple(", ".join(group) for group in circles(arrows))
    yield Count("circles", len(groups), groups)
    own = sorted(
        arrow.imported
        for arrow in arrows
        if arrow.importer == "agents.train.ppo" and arrow.imported.startswith("agents.train.")
    )
    short = tuple(name.removeprefix("agents.train.") for name in own)
    yield Count("modules of agents.train that ppo imports", len(own), short)
    yield Count("imports among modules", len(arrows))
    yield Count("source modules", len(tree.source))
    lines = sum(
        len(text.splitlines()) for path, text in tree.texts.items() if path.parts[0] != "tests"
    )
    yield Count("lines of Python without tests", lines)


def _functions(tree: Tree) -> Iterator[Count]:
    functions = [
        (name, code_lines(function), parameters(function)) for name, function in tree.functions()
    ]
    long = sorted((name, lines) for name, lines, _ in functions if lines > LINES_OF_A_FUNCTION)
    wide = sorted((name, number) for name, _, number in functions if number > PARAMETERS)
    for title, counted in (
        (f"functions over {LINES_OF_A_FUNCTION} lines", long),
        (f"functions over {PARAMETERS} parameters", wide),
    ):
        yield Count(title, len(counted), tuple(f"{name} {number}" for name, number in counted))


def _words(tree: Tree) -> Iterator[Count]:
    words: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    for path, text in tree.texts.items():
        parsed = tree.source.get(path) or ast.parse(text)
        names = (name.strip("_") for name in bound_names(parsed))
        words[path in tree.source].update(name for name in names if name in PARTICIPLES)
    for title, counter in (("source", words[True]), ("other files", words[False])):
        items = tuple(f"{word} {number}" for word, number in counter.most_common())
        yield Count(f"participles bound in {title}", counter.total(), items)
    for mark in ("noqa: E402", "fmt: skip"):
        marked = Counter(
            {path.as_posix(): text.count(f"# {mark}") for path, text in tree.texts.items()}
        )
        items = tuple(f"{name} {number}" for name, number in marked.most_common(4) if number)
        yield Count(mark, marked.total(), items)


def _tasks(tree: Tree) -> Iterator[Count]:
    folders = task_folders(tree.root)
    prompts = [path for paths in folders.values() for path in paths if path.stem in PROMPT_FILES]
    names = tuple(path.relative_to(tree.root / "vlbench/tasks").as_posix() for path in prompts)
    yield Count("prompt files of tasks", len(prompts), names)
    most = max(Counter(path.parent for path in prompts).values())
    yield Count("prompt files of a task", most)
    yield Count("parses a turn", parses_a_turn(tree.root))
    with_prompts = {path.parent.name for path in prompts}
    smallest = min((folders[name] for name in with_prompts), key=len)
    files = tuple(path.relative_to(tree.root).as_posix() for path in smallest)
    yield Count("files of a task's own", len(files), files)
    lists = tuple(
        path.as_posix()
        for path in tree.source
        if path.parts[:2] not in (("vlbench", "tasks"), ("vlbench", "rl4vlm"))
        and all(any(name in tree.texts[path] for name in names) for names in CARD_TASKS)
    )
    yield Count("source files that list the tasks", len(lists), lists)


def _as_text(counts: Sequence[Count]) -> str:
    lines = []
    for count in counts:
        limit = "" if count.limit is None else f"  (limit {count.limit:g})"
        lines.append(f"{count.value:>7g}  {count.name}{limit}")
        lines += textwrap.wrap(
            ", ".join(count.items),
            100,
            initial_indent=" " * 9,
            subsequent_indent=" " * 9,
            break_on_hyphens=False,
        )
    return "\n".join(lines)


@dataclass(frozen=True, kw_only=True)
class Config(Options):
    """Options of `house_counts`."""

    root: Path = option(Path(), "a checkout; the current folder by default", check=existing_folder)
    json: bool = option(False, "print one JSON object")


def main(argv: Sequence[str] | None = None) -> int:
    """Print the counts; return 0, or 2 on a wrong call."""
    return run_main("house_counts", lambda: _main(argv))


def _main(argv: Sequence[str] | None) -> None:
    prog = "python -m scripts.house_counts"
    config = parse_options(Config, argv, prog=prog, description=__doc__)
    counts = count_house(config.root)
    if config.json:
        print(json.dumps([{**asdict(count), "limit": count.limit} for count in counts], indent=2))
    else:
        print(_as_text(counts))


if __name__ == "__main__":
    sys.exit(main())
