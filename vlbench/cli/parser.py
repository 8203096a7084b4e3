"""Parse a command line into a class of options."""

import argparse
import re
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING
from difflib import get_close_matches
from inspect import get_annotations
from typing import Any, NoReturn, TypeVar

from vlbench.cli.options import KINDS, OptionField, Options, option_fields
from vlbench.errors import did_you_mean

RULES = "--env-kwargs"
"""Option of the commands that set rules of a task."""
TYPO = 0.85
"""Similarity, 0..1, from which on an unknown option is a known one with an error in it."""

C = TypeVar("C", bound=Options)
P = TypeVar("P")


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` that raises a one-line error instead of printing several and exiting.

    Raises:
        ValueError: `parse_args` got a wrong call.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=_Paragraphs, **options)
        self._negative_number_matcher = re.compile(r"-(\.?\d|inf|nan)")  # as in --lr -1e-4

    def error(self, message: str) -> NoReturn:
        """Raise the message."""
        message = re.sub(r"^argument (\S+):", r"\1:", message)
        raise ValueError(f"{message} (see {self.prog} --help)")

    def check_names(self, argv: Sequence[str]) -> None:
        """Refuse unknown options, before argparse reports them with a less helpful message.

        Raises:
            ValueError: An option is unknown; the message suggests the nearest.
        """
        known = [name for action in self._actions for name in action.option_strings]
        for word in argv:
            if word == "--":
                return
            name = word.partition("=")[0]
            if name.startswith("--") and name not in known:
                rule = name.removeprefix("--").replace("-", "_")
                is_typo = bool(get_close_matches(name, known, cutoff=TYPO))
                hint = f" (a rule of the task: {RULES} {rule}=VALUE)" if RULES in known else ""
                error = f'unknown option "{name}"{did_you_mean(name, known)}'
                self.error(error if is_typo else f"{error}{hint}")


class _Paragraphs(argparse.HelpFormatter):
    """Keeps the paragraphs of a description apart."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        paragraphs = [
            textwrap.fill(" ".join(paragraph.split()), width)
            for paragraph in text.strip().split("\n\n")
        ]
        return "\n\n".join(paragraphs)


def parse_options(
    config: type[C],
    argv: Sequence[str] | None,
    *,
    prog: str,
    description: str | None,
    presets: Mapping[str, Mapping[str, Any]] | None = None,
) -> C:
    """Parse a command line, check its values and run the preflight checks.

    Args:
        config: The class of the options.
        argv: The command line; None for the process's own.
        prog: The command's name in its help.
        description: Help text of the command.
        presets: Name → values of fields, which `--preset NAME` uses as defaults.

    Raises:
        ValueError: The call is wrong; the message is one line.
    """
    fields = option_fields(config)
    argv = _with_new_names(sys.argv[1:] if argv is None else argv, fields, prog)
    parser = Parser(prog=prog, description=description)
    preset: Mapping[str, Any] = {}
    if presets:
        preset = _preset(argv, presets)
        parser.add_argument(
            "--preset", metavar="NAME", help=f"use other defaults: {', '.join(presets)}"
        )
    groups: dict[type, Any] = {config: parser}
    for field in sorted(fields, key=_place):
        if field.owner not in groups:
            title = (field.owner.__doc__ or "").partition(".")[0]
            groups[field.owner] = parser.add_argument_group(title)
        _add(groups[field.owner], field, preset.get(field.name, field.default))
    parser.check_names(argv)
    parsed = vars(parser.parse_args(argv))
    values = dict(preset)
    for field in fields:
        if field.name in parsed:
            values[field.name] = _value(field, parsed[field.name])
    options = config(**values)
    options.preflight()
    return options


def _place(field: OptionField) -> tuple[bool, int]:
    """Return the sort key of an option in the help: required ones first, then as declared."""
    return field.default is not MISSING, list(get_annotations(field.owner)).index(field.name)


def _preset(argv: Sequence[str], presets: Mapping[str, P]) -> P | dict[str, Any]:
    parser = Parser(prog="", add_help=False)
    parser.add_argument("--preset", nargs="?", const="")
    name = parser.parse_known_args(argv)[0].preset
    if name is None:
        return {}
    if name not in presets:
        listed = ", ".join(presets)
        raise ValueError(
            f'--preset must be one of {listed}; got "{name}"{did_you_mean(name, presets.keys())}'
        )
    return presets[name]


def _add(group: Any, field: OptionField, default: Any) -> None:
    """Add an option to a parser; if it is absent, the result has no attribute for it."""
    option = field.option
    limit = f"at most {option.limit:.10g}" if option.limit else ""
    notes = [" and ".join(filter(None, (option.range, limit)))] if option.range or limit else []
    if default is True:
        notes.append("on by default")
    elif field.type is not bool and default not in (MISSING, None, "", (), {}):
        notes.append(f"default: {default}")
    text = option.help + (f" ({'; '.join(notes)})" if notes else "")
    settings: dict[str, Any] = {"help": text.replace("%", "%%"), "default": argparse.SUPPRESS}
    if field.type is bool:
        group.add_argument(field.flag, action=argparse.BooleanOptionalAction, **settings)
        return
    settings["metavar"] = option.metavar or (
        f"{{{','.join(option.choices)}}}"
        if option.choices
        else field.name.upper()
        if option.positional
        else KINDS[field.type].metavar
    )
    if not option.positional:
        settings["required"] = default is MISSING
        settings["action"] = "append" if field.many else "store"
    elif field.many:
        settings["nargs"] = "+" if default is MISSING else "*"
    names = (field.flag, option.alias) if option.alias else (field.flag,)
    group.add_argument(*names, **settings)


def _value(field: OptionField, content: Any) -> Any:
    if field.type is bool:
        return content
    return tuple(map(field.parse, content)) if field.many else field.parse(content)


def _with_new_names(argv: Sequence[str], fields: Iterable[OptionField], prog: str) -> list[str]:
    """Replace the old names of options in a command line, with a warning on stderr for each."""
    new = {f.option.old_name: f.flag for f in fields if f.option.old_name}
    new |= {f"--no-{old[2:]}": f"--no-{flag[2:]}" for old, flag in new.items()}
    words = []
    for word in argv:
        name, equals, value = word.partition("=")
        if name in new:
            print(
                f"{prog}: {name} is now {new[name]}; the next version drops the old name",
                file=sys.stderr,
            )
            name = new[name]
        words.append(f"{name}{equals}{value}")
    return words
