"""Give wrong inputs to the code and print what came: `python -m scripts.wrong_inputs`.

It prints a line for each case: letter, ok or WRONG, exit code, name, and the line that came. It
exits with 1 if any case is WRONG.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from scripts.wrong_inputs import process
from scripts.wrong_inputs.case import Case, Output, Verdict, find_faults
from scripts.wrong_inputs.fixtures import Shelf
from vlbench.cli import Options, option, parse_options, run_main

LETTERS = {
    "A": ("foreign code and hostile checkpoints", ("foreign_code", "checkpoints")),
    "B": ("which model an evaluation measured", ("models",)),
    "C": ("rows and rules", ("rows",)),
    "D": ("failures in the headline", ("failures",)),
    "E": ("calls of the trainers", ("trainers", "resumes")),
    "F": ("numbers that aren't finite", ("divergence",)),
    "G": ("entries that no run can produce", ("entries",)),
    "H": ("cheats, challenges and reruns", ("cheats", "challenges")),
    "I": ("replies", ("replies",)),
    "J": ("planted bugs of a task", ("planted_bugs",)),
    "K": ("copies, signals, wrappers", ("behaviour",)),
}
"""Letter → what it is about, and the modules with its CASES."""
LIBRARIES = ("agents.evaluate", "leaderboard.pack", "leaderboard.site", "vlbench.contract")
WIDTH = 110
"""Characters of a line that came that are printed."""


@dataclass(frozen=True, kw_only=True)
class Config(Options):
    """Options of `wrong_inputs`."""

    only: str = option("", "letters of the cases to play, like A,E; all by default")
    json: bool = option(False, "print one JSON list")

    def check(self) -> None:
        """Check the letters."""
        for letter in self.letters:
            if letter not in LETTERS:
                raise ValueError(f'--only: unknown letter "{letter}" (known: {",".join(LETTERS)})')

    @property
    def letters(self) -> list[str]:
        """The letters of the cases to play."""
        return self.only.upper().split(",") if self.only else list(LETTERS)


def play(case: Case, shelf: Shelf, folder: Path) -> Verdict:
    """Play a case in a new folder."""
    folder.mkdir()
    for name in case.fixtures:
        shelf.copy(name, folder)
    for step in case.setup:
        output = process.run(step, folder)
        if output.code:
            return Verdict(case, output, ("its setup failed",))
    before = process.files_of(folder)
    action = case.action
    command = (lambda: process.run_module(action)) if isinstance(action, str) else action
    output = process.run(command, folder)
    return Verdict(case, output, find_faults(case, output, before, process.files_of(folder)))


def play_all(letters: Sequence[str], folder: Path) -> Iterator[Verdict]:
    """Play the cases of some letters, one after the other."""
    os.environ.update(OMP_NUM_THREADS="1", SDL_VIDEODRIVER="dummy", PYTHONDONTWRITEBYTECODE="1")
    (folder / "fixtures").mkdir()
    shelf = Shelf(folder / "fixtures")
    for letter in letters:
        for name in LETTERS[letter][1]:
            module = import_module(f"scripts.wrong_inputs.{name}")
            lack = _load((*LIBRARIES, *getattr(module, "NEEDS", ())))
            for number, case in enumerate(module.CASES):
                if lack:
                    yield Verdict(case, Output(0, "", ""), (), skipped=lack)
                else:
                    yield play(case, shelf, folder / f"{name}-{number}")


def _load(names: Sequence[str]) -> str:
    """Import modules, which all cases share; return why one can't be imported, or ""."""
    for name in names:
        try:
            import_module(name)
        except ImportError as error:
            return str(error)
    return ""


def as_text(verdict: Verdict) -> str:
    """Return a verdict as a line, with what is wrong below."""
    case = verdict.case
    if verdict.skipped:
        return f"{case.letter}  skipped      {case.name} | {verdict.skipped}"
    mark = "WRONG" if verdict.faults else "ok"
    line = verdict.line
    short = line if len(line) <= WIDTH else line[: WIDTH - 1] + "…"
    text = f"{case.letter}  {mark:5}  {verdict.output.code:>3}  {case.name} | {short}"
    return "\n".join([text, *(f"             {fault}" for fault in verdict.faults)])


def as_data(verdict: Verdict) -> dict[str, object]:
    """Return a verdict as plain data."""
    case = verdict.case
    return {
        "letter": case.letter,
        "name": case.name,
        "command": case.action if isinstance(case.action, str) else None,
        "code": verdict.output.code,
        "line": verdict.line,
        "faults": verdict.faults,
        "skipped": verdict.skipped,
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Play the cases; return 0, 1 if one is wrong, or 2 on a wrong call."""
    return run_main("wrong_inputs", lambda: _main(argv))


def _main(argv: Sequence[str] | None) -> int:
    prog = "python -m scripts.wrong_inputs"
    config = parse_options(Config, argv, prog=prog, description=__doc__)
    verdicts = []
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        for verdict in play_all(config.letters, Path(folder)):
            verdicts.append(verdict)
            if not config.json:
                print(as_text(verdict), flush=True)
    wrong = sum(bool(verdict.faults) for verdict in verdicts)
    skipped = sum(bool(verdict.skipped) for verdict in verdicts)
    if config.json:
        print(json.dumps([as_data(verdict) for verdict in verdicts], indent=1))
    else:
        seconds = time.monotonic() - start
        print(f"{len(verdicts)} cases, {wrong} wrong, {skipped} skipped ({seconds:.0f} s)")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
