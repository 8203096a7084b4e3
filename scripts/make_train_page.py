"""Write into docs/train-7b.md what its commands with `--estimate-memory` print.

python -m scripts.make_train_page
"""

import re
import shlex
import sys
from pathlib import Path

import agents.vlm  # noqa: F401  # before transformers is imported
from agents.train.memory import estimate_memory
from agents.train.ppo_config import PRESETS, Config
from vlbench.cli import parse_options

PAGE = Path(__file__).parents[1] / "docs" / "train-7b.md"
BLOCK = re.compile(
    r"^    python -m agents\.train\.ppo ([^\n]*--estimate-memory [^\n]*)\n\n```\n(.*?)```",
    re.MULTILINE | re.DOTALL,
)
"""A command, and what it prints."""


def filled(text: str) -> str:
    """Return the page's text with every block up to date."""

    def printed(block: re.Match[str]) -> str:
        config = parse_options(
            Config, shlex.split(block[1]), prog="ppo", description="", presets=PRESETS
        )
        output = estimate_memory(config.estimate_memory, config)
        return f"    python -m agents.train.ppo {block[1]}\n\n```\n{output}\n```"

    return BLOCK.sub(printed, text)


def main() -> int:
    """Write the page; return 0."""
    PAGE.write_text(filled(PAGE.read_text("utf-8")), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
