"""The `vlbench` command: one name for the modules that have a command line."""

import sys
from collections.abc import Iterable, Sequence
from importlib import import_module

import vlbench
from vlbench.cli import plain_output, print_error
from vlbench.errors import unknown_name

SUBCOMMANDS: dict[str, tuple[str, str]] = {
    "evaluate": ("agents.evaluate:main", "play an agent on the benchmark and score it"),
    "doctor": ("agents.doctor:main", "find out whether an agent's model can be used"),
    "compare": ("agents.compare:main", "compare runs on the rows that all played"),
    "table": ("agents.results.__main__:main", "print runs as a paper's table, and draw bars"),
    "sweep": ("agents.sweep.__main__:main", "draw a curve over runs that differ in one thing"),
    "thoughts": ("agents.vlm.thoughts:main", "change thoughts and ask a local model again"),
    "merge": ("agents.merge:main", "join the parts of a run that machines shared"),
    "merge-adapter": ("agents.vlm.merge:main", "merge a LoRA adapter into its base"),
    "report": ("agents.report:main", "write a run's episodes as a page to look at"),
    "render": ("vlbench.display.__main__:main", "render an episode as an animated GIF"),
    "rerun": ("agents.rerun.__main__:main", "ask a model some turns of an entry again"),
    "replay": ("vlbench.replay:main", "play a run's texts again and name what differs"),
    "diagnose": ("vlbench.diagnose.__main__:main", "compare advantages with what turns were worth"),
    "play": ("vlbench.play.__main__:main", "play a task yourself in a window"),
    "freeze": ("vlbench.freeze.__main__:main", "write the sets of a task of your own"),
    "new-task": ("vlbench.new_task.__main__:main", "write the folder of a task of your own"),
    "train tiny": ("agents.train.tiny:main", "write an untrained tiny LLaVA"),
    "train sft-data": ("agents.train.sft_data:main", "write expert transcripts"),
    "train sft": ("agents.train.sft:main", "fine-tune a checkpoint on transcripts"),
    "train ppo": ("agents.train.ppo:main", "improve a checkpoint by playing, with PPO"),
    "train cnn": ("agents.train.cnn:main", "train the CNN baseline with PPO"),
    "train reproduce": ("agents.train.reproduce.__main__:main", "run a study of several trainings"),
    "pack": ("leaderboard.pack:main", "pack runs into a leaderboard entry"),
    "verify": ("leaderboard.verify:main", "replay leaderboard entries and name what differs"),
    "site": ("leaderboard.site:main", "write the leaderboard as pages"),
}
"""Subcommand → ("module:function", one line of help). The function takes the arguments after the
subcommand and returns the exit code; its module is imported when it is called."""

EXTRAS = {
    "agents.train": "train",
    "agents.vlm": "llava",
    "leaderboard": "leaderboard",
    "vlbench.play": "play",
}
"""Beginning of a module's name → the extra that installs what it imports."""


@plain_output()
def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand with the arguments; exit 2 if the name is unknown."""
    argv = sys.argv[1:] if argv is None else list(argv)
    words = 2 if argv[:1] == ["train"] else 1
    name, rest = " ".join(argv[:words]), argv[words:]
    if name in ("-V", "--version"):
        print(f"vlbench {vlbench.__version__}")
        return 0
    if name in ("", "-h", "--help"):
        print(_help(SUBCOMMANDS))
        return 0 if name else 2
    if name in ("train", "train -h", "train --help"):
        print(_help(known for known in SUBCOMMANDS if known.startswith("train ")))
        return 2 if name == "train" else 0
    if name not in SUBCOMMANDS:
        print_error("vlbench", ValueError(unknown_name("subcommand", name, SUBCOMMANDS)))
        return 2
    module, _, function = SUBCOMMANDS[name][0].partition(":")
    try:
        command = getattr(import_module(module), function)
    except ModuleNotFoundError as error:
        message = f'{error}; install it with: pip install "vlbench[{_extra(module)}]"'
        print_error(f"vlbench {name}", ValueError(message))
        return 2
    return int(command(rest))


def _extra(module: str) -> str:
    """Return the extra that installs what a module imports."""
    return next((EXTRAS[part] for part in EXTRAS if module.startswith(part)), "all")


def _help(names: Iterable[str]) -> str:
    names = list(names)
    width = max(map(len, names))
    lines = [f"  {name.ljust(width)}  {SUBCOMMANDS[name][1]}" for name in names]
    usage = "usage: vlbench SUBCOMMAND …   (vlbench SUBCOMMAND --help tells more)"
    return "\n".join([usage, "", *lines, "", "  --version  --help"])
