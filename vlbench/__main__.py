"""Entry point of the `vlbench` command, which the package `agents` implements.

The distribution openai-agents also installs a package named `agents`. If that one comes first on
the module search path, the command prints one line and exits.
"""

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path


def main() -> int:
    """Run the command; exit 2 if `agents` is another distribution's package."""
    expected = Path(__file__).resolve().parent.parent / "agents" / "__init__.py"
    spec = find_spec("agents")
    actual = Path(spec.origin).resolve() if spec and spec.origin else None
    if actual != expected or not expected.read_text("utf-8").startswith('"""Agents of vlbench'):
        print(
            f"vlbench: expected vlbench's own package `agents` ({expected.parent}), found "
            f"{actual.parent if actual else 'none'} first; take that off the module search path "
            "(openai-agents installs one of that name: use a virtual environment without it)",
            file=sys.stderr,
        )
        return 2
    return int(import_module("agents.cli").main())


if __name__ == "__main__":
    sys.exit(main())
