"""One-line errors: for exceptions of a user's module, agent or environment, and for unknown names.

Such code may raise anything, even when it is only imported.
"""

import os
import sysconfig
import traceback
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path

import gymnasium

_SELF_EXPLANATORY = (ImportError, OSError, gymnasium.error.Error)


@contextmanager
def user_code(context: str = "", *, importing: bool = False) -> Iterator[None]:
    """Turn any exception of the block, SystemExit included, into a one-line ValueError.

    For an error that says what is missing, the line is its message; for any other, its type, its
    message, and the file and line that raised it. A ValueError passes unchanged, because its
    message is written for the user, unless the block only imports code.

    Args:
        context: Text to put before the error, followed by a colon; "" for none.
        importing: Whether the block only imports code. A ValueError is then treated as any other
            error.

    Raises:
        ValueError: The block raised.
    """
    try:
        yield
    except (Exception, SystemExit) as error:
        if isinstance(error, ValueError) and not importing:
            raise
        missing = isinstance(error, ModuleNotFoundError)
        plain = isinstance(error, _SELF_EXPLANATORY) and str(error) and (importing or not missing)
        message = " ".join(str(error).split()) if plain else _with_location(error)
        raise ValueError(f"{context}: {message}" if context else message) from error


def _with_location(error: BaseException) -> str:
    """Return an error's type, message, file and line; a SyntaxError's message has its own line."""
    message = ": ".join(filter(None, (type(error).__name__, " ".join(str(error).split()))))
    if isinstance(error, SyntaxError):
        return message
    return f"{message} ({location(error)})"


PROJECT = Path(__file__).parent.parent
OWN_FOLDERS = tuple(f"{PROJECT / name}{os.sep}" for name in ("vlbench", "agents", "leaderboard"))
LIBRARIES = tuple(
    f"{sysconfig.get_paths()[name]}{os.sep}" for name in ("stdlib", "purelib", "platlib")
)


def location(error: BaseException, harness: Collection[str] = ()) -> str:
    """Return where an error was raised, as "file:line".

    It is the innermost line of the user's own code, outside installed packages; without one, the
    innermost line of this project; without one, the innermost line of all.

    Args:
        error: The error.
        harness: Files of this project that only call the user's code.

    Returns:
        "" if no line is left.
    """
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename not in harness]
    ours = [frame for frame in frames if frame.filename.startswith(OWN_FOLDERS)]
    outside = (*OWN_FOLDERS, *LIBRARIES, "<")
    users = [frame for frame in frames if not frame.filename.startswith(outside)]
    for group in (users, ours, frames):
        if group:
            return f"{group[-1].filename}:{group[-1].lineno}"
    return ""


def unknown_name(kind: str, name: object, known: Iterable[str]) -> str:
    """Return `unknown <kind> "<name>"; did you mean "<nearest>"? (known: …)`."""
    names = list(known)
    suggestion = did_you_mean(str(name), names)
    return f'unknown {kind} "{name}"{suggestion} (known: {", ".join(names)})'


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean "<nearest>"?`, or "" if no name is close."""
    near = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f'; did you mean "{near[0]}"?' if near else ""


@lru_cache(maxsize=1024)
def quoted_list(actions: tuple[str, ...]) -> str:
    """Return actions as a list for a message: '"+", "-"'."""
    return ", ".join(f'"{action}"' for action in actions)
