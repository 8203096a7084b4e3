"""The `vlbench` command: one name for the modules that have a command line."""

import sys
from collections.abc import Sequence
from importlib import import_module

import vlbench
from vlbench.cli import refuse
from vlbench.errors import unknown_name

SUBCOMMANDS: dict[str, tuple[str, str]] = {
    "evaluate": ("agents.evaluate:main", "play an agent on the benchmark and score it"),
    "doctor": ("agents.doctor:main", "find out whether an agent's model can be used"),
    "compare": ("agents.compare:main", "compare two runs on the rows that both played"),
    "report": ("agents.report:main", "write a run's episodes as a page to look at"),
    "replay": ("vlbench.replay:main", "play a run's texts again and name what differs"),
    "play": ("vlbench.play.__main__:main", "play a task yourself in a window"),
    "pack": ("leaderboard.pack:main", "pack runs into a leaderboard entry"),
    "verify": ("leaderboard.verify:main", "replay leaderboard entries and name what differs"),
    "site": ("leaderboard.site:main", "write the leaderboard as pages"),
}
"""Subcommand → ("module:function", one line of help). The function takes the arguments after the
subcommand and returns the exit code; its module is imported when it is called."""


def main(argv: Sequence[str] | None = None) -> int:
    """Hand the arguments to a subcommand; exit 2 where there is none of that name."""
    argv = sys.argv[1:] if argv is None else list(argv)
    if not argv or argv[0] in ("-h", "--help"):
        print(_help())
        return 0 if argv else 2
    if argv[0] in ("-V", "--version"):
        print(f"vlbench {vlbench.__version__}")
        return 0
    if argv[0] not in SUBCOMMANDS:
        return refuse("vlbench", ValueError(unknown_name("subcommand", argv[0], SUBCOMMANDS)))
    module, _, function = SUBCOMMANDS[argv[0]][0].partition(":")
    sys.path.append("")  # `python -m` finds agents and environments in the current folder; so we do
    try:
        command = getattr(import_module(module), function)
    except ModuleNotFoundError as error:
        extra = "leaderboard" if module.startswith("leaderboard") else "all"
        told = f'{error}; install it with: pip install "vlbench[{extra}]"'
        return refuse(f"vlbench {argv[0]}", ValueError(told))
    return int(command(argv[1:]))


def _help() -> str:
    width = max(map(len, SUBCOMMANDS))
    lines = [f"  {name.ljust(width)}  {told}" for name, (_, told) in SUBCOMMANDS.items()]
    usage = "usage: vlbench SUBCOMMAND …   (vlbench SUBCOMMAND --help tells more)"
    return "\n".join([usage, "", *lines, "", "  --version  --help"])
