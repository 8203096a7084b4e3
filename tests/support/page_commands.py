"""The commands of a page in docs/, and the functions behind them."""

import re
from importlib import import_module
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
OTHERS = ("nvidia-smi", "git", "python3 -m venv", "pip", "python -c", "vllm/bin/vllm", "VLLM_")
"""The first words of commands that aren't ours."""


def commands(page):
    """Return the indented commands of a page, each on one line."""
    text = (DOCS / page).read_text("utf-8").replace("\\\n", " ")
    lines = re.findall(r"^    (\S.*)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.M)
    return [line.partition("  #")[0].strip() for line in lines if not line.startswith("log π")]


def main_of(name):
    """Return the main function behind `python -m name`."""
    module = import_module(name)
    return (import_module(f"{name}.__main__") if hasattr(module, "__path__") else module).main
