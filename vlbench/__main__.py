"""The `vlbench` command, which stands in the package `agents`.

Another distribution, openai-agents, installs a package of that name too; if it comes first, one
line says so.
"""

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path


def main() -> int:
    """Run the command; exit 2 if `agents` is another distribution's package."""
    ours = Path(__file__).resolve().parent.parent / "agents" / "__init__.py"
    spec = find_spec("agents")
    found = Path(spec.origin).resolve() if spec and spec.origin else None
    if found != ours or not ours.read_text("utf-8").startswith('"""Agents of vlbench'):
        print(
            f"vlbench: wanted vlbench's own package `agents` ({ours.parent}), found "
            f"{found.parent if found else 'none'} first; take that off the module search path "
            "(openai-agents installs one of that name: use a virtual environment without it)",
            file=sys.stderr,
        )
        return 2
    return int(import_module("agents.cli").main())


if __name__ == "__main__":
    sys.exit(main())
