"""A case: an input, and what must come."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

TRACE = "ran"
"""A file that a foreign module or pickle writes when it runs."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """An input, and what must come.

    A refusal (code 2) is one line on stderr, nothing on stdout, and changes no file. No case may
    show a traceback or run foreign code.
    """

    letter: str
    """The kind of input, a letter of `LETTERS` in `__main__`."""
    name: str
    action: str | Callable[[], object]
    """A command line after `python -m`, or a function that prints what comes."""
    pieces: tuple[str, ...]
    """Texts that must be printed, on stdout or stderr."""
    code: int = 2
    """Exit code of the command; 1 for an exception of the function."""
    fixtures: tuple[str, ...] = ()
    """Names in `fixtures.FIXTURES` of files that lie in the current folder."""
    setup: tuple[Callable[[], object], ...] = ()
    """Functions that then write or change files in the current folder."""
    forbidden: tuple[str, ...] = ()
    """Texts that mustn't be printed."""
    absent: tuple[str, ...] = ()
    """Files that mustn't be there afterwards."""


@dataclass(frozen=True)
class Output:
    """What a process left."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Verdict:
    """A case that was played."""

    case: Case
    output: Output
    faults: tuple[str, ...]
    """What is wrong; empty if all is as it must be."""
    skipped: str = ""
    """Why it wasn't played."""

    @property
    def line(self) -> str:
        """The line that came: the one that must come, if it did, else the last one."""
        lines = [*self.output.err.splitlines(), *self.output.out.splitlines()]
        for piece in filter(None, self.case.pieces):
            for line in lines:
                if piece in line:
                    return line.strip()
        last = (self.output.err or self.output.out).splitlines()[-1:]
        return "".join(last).strip()


def find_faults(
    case: Case, output: Output, before: dict[Path, bytes], after: dict[Path, bytes]
) -> tuple[str, ...]:
    """Compare what came with what must come.

    Args:
        case: The case.
        output: What its action printed, and its exit code.
        before: Content of each file of the folder before the action.
        after: The same after it.
    """
    printed = output.out + output.err
    faults = [f"wanted exit code {case.code}"] * (output.code != case.code)
    faults += ["a traceback"] * ("Traceback (most recent call last)" in printed)
    faults += [f"lacks {piece!r}" for piece in case.pieces if piece not in printed]
    faults += [f"has {piece!r}" for piece in case.forbidden if piece in printed]
    faults += [f"{name} is there" for name in case.absent if Path(name) in after]
    faults += ["foreign code ran"] * any(path.name == TRACE for path in after)
    if case.code == 2:
        faults += ["wanted one line on stderr"] * (output.err.count("\n") != 1)
        faults += ["wanted nothing on stdout"] * bool(output.out)
        changed = {p for p in before.keys() | after.keys() if before.get(p) != after.get(p)}
        faults += [f"changed {path}" for path in sorted(changed)]
    return tuple(faults)
