"""Imports point one way, and the light packages stay light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = [name for name in ("vlbench", "agents", "leaderboard") if (ROOT / name).is_dir()]
if not PACKAGES:  # run from another folder against the installed wheel
    import vlbench

    ROOT = Path(vlbench.__file__).parent.parent
    PACKAGES = ["vlbench", "agents", "leaderboard"]

ALLOWED = {
    "vlbench": {"vlbench", "gymnasium", "numpy", "PIL", "pygame"},
    "leaderboard": {"vlbench", "leaderboard", "gymnasium", "numpy", "PIL", "jinja2", "pydantic"},
}
ENGINE = {
    "vlbench/tasks/alfworld/engine/server.py",
    "vlbench/tasks/alfworld/engine/textworld_fast.py",
    "vlbench/tasks/alfworld_thor/server.py",
}
"""Files that run in an engine's own process; vlbench never imports them."""
BRIDGES = {
    "vlbench/bridges/inspect_log.py": {"inspect_ai"},
    "vlbench/bridges/inspect_task.py": {"inspect_ai"},
    "vlbench/bridges/openenv_server.py": {"openenv", "pydantic", "uvicorn"},
    "vlbench/bridges/skyrl_env.py": {"skyrl_gym"},
    "vlbench/bridges/starts.py": {"pyarrow"},
    "vlbench/bridges/verl_loop.py": {"verl"},
    "vlbench/bridges/trl_env.py": {"datasets", "transformers"},
    "vlbench/bridges/turns.py": {"datasets"},
    "vlbench/bridges/turns_export.py": {"datasets"},
}
"""Bridge → the packages of its engine, which nothing else imports."""
HANDED_ON = {("vlbench/__main__.py", "agents.cli")}
"""Entry point of the `vlbench` command, which agents implements."""
FORBIDDEN = {
    "agents/providers": ("agents.train", "agents.vlm"),
    "agents/vlm": ("agents.train",),
    "vlbench/tasks": ("vlbench.replay", "vlbench.run_folder", "vlbench.scoring"),
}
"""Folder → packages that its modules never import."""
HEAVY = (
    "torch transformers openai anthropic google.genai google.generativeai pygame matplotlib "
    "alfworld textworld jinja2 pydantic"
).split()


def imports(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and "import_module" in ast.unparse(node.func):
            yield from (arg.value for arg in node.args if isinstance(arg, ast.Constant))


@pytest.mark.parametrize("package", ALLOWED)
def test_vlbench_and_leaderboard_import_nothing_that_points_back(package):
    files = list((ROOT / package).rglob("*.py"))
    assert files
    for path in files:
        for name in set(imports(path)):
            if (str(path.relative_to(ROOT)), name) in HANDED_ON:
                continue
            top = name.partition(".")[0]
            if str(path.relative_to(ROOT)) in ENGINE:
                assert top in {"alfworld", "textworld", "textworld_fast"} | sys.stdlib_module_names
                continue
            engine = BRIDGES.get(str(path.relative_to(ROOT)), set())
            known = ALLOWED[package] | engine | sys.stdlib_module_names
            assert top in known, f"{path}: {name}"


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_a_folder_imports_nothing_of_those_that_use_it(folder):
    files = list((ROOT / folder).rglob("*.py"))
    assert files
    for path in files:
        for name in imports(path):
            assert not f"{name}.".startswith(tuple(f"{top}." for top in FORBIDDEN[folder])), path


OF_ONE_TASK = {
    *(f"agents/players/ocr/{name}.py" for name in ("number_line", "formula", "blackjack")),
}
"""Commands and readers of pictures that belong to one task."""


@pytest.mark.parametrize("package", ["agents", "leaderboard"])
def test_only_a_tasks_own_folder_knows_the_task(package):
    for path in (ROOT / package).rglob("*.py"):
        if str(path.relative_to(ROOT)) not in OF_ONE_TASK:
            tasks = [name for name in imports(path) if name.startswith("vlbench.tasks.")]
            assert not tasks, f"{path} imports {tasks}"


def test_no_module_has_a_name_that_says_nothing():
    empty = {
        "utils",
        "util",
        "common",
        "helpers",
        "helper",
        "misc",
        "manager",
        "factory",
        "handler",
    }
    for package in PACKAGES:
        assert not {path.stem for path in (ROOT / package).rglob("*.py")} & empty


@pytest.mark.parametrize(
    "program",
    [
        "import vlbench",
        "import vlbench, gymnasium; gymnasium.make('vlbench/Points24-v0').reset(seed=0)",
        "import vlbench.tasks.alfworld, vlbench.tasks.alfworld_thor",
        "import agents, leaderboard",
    ],
)
def test_importing_and_making_load_nothing_heavy(program):
    check = f"{program}\nimport sys\nprint([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
