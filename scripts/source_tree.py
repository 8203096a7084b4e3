"""The modules, imports and functions of a checkout, parsed without importing them.

Source files are the Python files of vlbench, agents and leaderboard.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

Function = ast.FunctionDef | ast.AsyncFunctionDef

PACKAGES = ("vlbench", "agents", "leaderboard")
WITH_PROGRAMS = (*PACKAGES, "scripts", "benchmarks")
ALL_PYTHON = (*WITH_PROGRAMS, "tests")

LAYERS: dict[str, tuple[tuple[str, ...], ...]] = {
    "vlbench": (
        ("vlbench",),
        ("vlbench.tasks.formula",),
        ("vlbench.tasks.alfworld",),
        ("vlbench.tasks", "vlbench.tasks.alfworld_thor"),
        ("vlbench.rl4vlm",),
        tuple(
            f"vlbench.{name}"
            for name in "comparison contract diagnose display recorder replay run_folder scoring "
            "episode_view recording redrawing runs".split()  # the last four: older names
        ),
        ("vlbench.play", "vlbench.bridges"),
    ),
    "agents": (
        ("agents", "agents.providers", "agents.vlm.checkpoint_files"),
        ("agents.vlm", "agents.players.text"),
        ("agents.train",),
    ),
    "leaderboard": (("leaderboard",),),
}
"""The layers of each package, lowest first; a module belongs to its longest matching prefix."""


@dataclass(frozen=True, slots=True)
class Import:
    """One module's import of another."""

    importer: str
    imported: str

    def __str__(self) -> str:
        """Return "importer -> imported"."""
        return f"{self.importer} -> {self.imported}"


class Tree:
    """The parsed Python files of a checkout.

    Args:
        root: The checkout.

    Raises:
        ValueError: The folder has no vlbench package.
    """

    def __init__(self, root: Path) -> None:
        if not (root / "vlbench" / "__init__.py").is_file():
            raise ValueError(f"expected a checkout of vlbench, found no vlbench package in {root}")
        self.root = root.resolve()
        self.texts = {
            path.relative_to(self.root): path.read_text("utf-8")
            for folder in ALL_PYTHON
            for path in sorted((self.root / folder).rglob("*.py"))
        }
        self.source = {
            path: ast.parse(text) for path, text in self.texts.items() if path.parts[0] in PACKAGES
        }
        self.modules = {_module_name(path): path for path in self.source}

    def imports(self) -> set[Import]:
        """Return the imports among source modules."""
        arrows = set()
        for path, tree in self.source.items():
            importer = _module_name(path)
            for name in _imported_names(tree):
                while name and name not in self.modules:
                    name = name.rpartition(".")[0]
                if name and name != importer:
                    arrows.add(Import(importer, name))
        return arrows

    def functions(self) -> Iterator[tuple[str, Function]]:
        """Yield each function of the source with its full name."""
        for path, tree in self.source.items():
            yield from _functions_in(tree, _module_name(path))


def _module_name(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _functions_in(node: ast.AST, name: str) -> Iterator[tuple[str, Function]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function | ast.ClassDef):
            inner = f"{name}.{child.name}"
            if isinstance(child, Function):
                yield inner, child
            yield from _functions_in(child, inner)
        else:
            yield from _functions_in(child, name)


def _imported_names(node: ast.AST) -> Iterator[str]:
    """Yield the full names that a syntax tree imports: of modules, or of something in them."""
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        return
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    elif isinstance(node, ast.Call) and "import_module" in ast.unparse(node.func):
        yield from (str(arg.value) for arg in node.args if isinstance(arg, ast.Constant))
    for child in ast.iter_child_nodes(node):
        yield from _imported_names(child)


def points_up(arrow: Import) -> bool:
    """Return whether an import breaks the layers."""
    if arrow.importer.endswith(".__main__"):
        return False
    package, other = arrow.importer.partition(".")[0], arrow.imported.partition(".")[0]
    if package != other:
        return other != "vlbench"
    layer, other_layer = _layer(arrow.importer), _layer(arrow.imported)
    if layer != other_layer:
        return layer < other_layer
    between_tasks = arrow.importer.split(".")[2:3] != arrow.imported.split(".")[2:3]
    return package == "vlbench" and layer == _layer("vlbench.tasks") and between_tasks


def _layer(module: str) -> int:
    layers = enumerate(LAYERS[module.partition(".")[0]])
    fits = [
        (len(prefix), layer)
        for layer, prefixes in layers
        for prefix in prefixes
        if module.startswith(prefix) and module[len(prefix) :][:1] in ("", ".", "_")
    ]
    return max(fits)[1]


def circles(arrows: set[Import]) -> list[tuple[str, ...]]:
    """Return the sets of modules that import each other, directly or through others."""
    following = defaultdict(set)
    for arrow in arrows:
        following[arrow.importer].add(arrow.imported)

    def reached(module: str) -> set[str]:
        result: set[str] = set()
        queue = [module]
        while queue:
            new = following[queue.pop()] - result
            result |= new
            queue += new
        return result

    reach = {module: reached(module) for module in list(following)}
    groups = {
        tuple(sorted(other for other in reach[module] if module in reach.get(other, ())))
        for module in reach
        if module in reach[module]
    }
    return sorted(groups)


def code_lines(function: Function) -> int:
    """Return the lines of a function without its docstring."""
    assert function.end_lineno is not None
    lines = function.end_lineno - function.lineno + 1
    if ast.get_docstring(function) is not None:
        docstring = function.body[0]
        assert docstring.end_lineno is not None
        lines -= docstring.end_lineno - docstring.lineno + 1
    return lines


def parameters(function: Function) -> int:
    """Return the number of a function's parameters."""
    arguments = function.args
    names = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
    return sum(name.arg not in ("self", "cls") for name in names)


def bound_names(tree: ast.AST) -> Iterator[str]:
    """Yield the name of each binding of a variable, parameter, field or attribute."""
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
