"""Declare options as fields of a dataclass: type, default, range and help in one place."""

import dataclasses
import inspect
import json
import math
import types
import typing
from collections.abc import Callable, Collection
from dataclasses import KW_ONLY, MISSING, dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import Any, TypeVar, cast

from vlbench.errors import did_you_mean

OPTION = "option"
"""Key of an `Option` in the metadata of a dataclass field."""

T = TypeVar("T")

MAX_SEED = 2**32 - 1
"""Largest seed that all random generators accept."""

MAX_FLOAT = 1e30
"""Largest number of an option that declares no limit; models compute in 32 bits."""
MAX_INT = 10**9
"""Largest whole number on a command line for an option that declares none."""


@dataclass(frozen=True, slots=True)
class Option:
    """Help and valid values of an option."""

    help: str
    _: KW_ONLY
    gt: float | None = None
    ge: float | None = None
    lt: float | None = None
    le: float | None = None
    limit: float | None = None
    """Largest value that a computer can handle, where the meaning of the option sets no bound."""
    choices: Collection[str] = ()
    parse: Callable[[str], Any] | None = None
    """Converts a text to a value, for types without a conversion of their own; raises
    ValueError."""
    check: Callable[[Any], None] | None = None
    """Checks the file, folder or package that a value names; raises ValueError. `preflight` calls
    it."""
    metavar: str = ""
    positional: bool = False
    alias: str = ""
    """Another name, as in `--loggers`, for launchers that take the usual one for theirs."""
    old_name: str = ""
    """The option's name in the previous version, e.g. "--noise". It still works, with a warning on
    stderr."""

    @property
    def range(self) -> str:
        """The range in words; "" for none."""
        if self.ge is not None and self.le is not None:
            return f"from {self.ge:.10g} to {self.le:.10g}"
        bounds = ((">", self.gt), ("at least", self.ge), ("<", self.lt), ("at most", self.le))
        return " and ".join(f"{words} {bound:.10g}" for words, bound in bounds if bound is not None)

    def contains(self, value: Any) -> bool:
        """Return whether a number is finite and within the range."""
        return (
            (isinstance(value, Integral) or math.isfinite(value))
            and (self.gt is None or value > self.gt)
            and (self.ge is None or value >= self.ge)
            and (self.lt is None or value < self.lt)
            and (self.le is None or value <= self.le)
        )

    def violation(self, value: Any) -> str:
        """Return what a number must be, e.g. "at least 1"; "" if it is valid."""
        if not self.contains(value):
            return self.range or "finite"
        limit = self.limit or (None if isinstance(value, Integral) else MAX_FLOAT)
        return "" if limit is None or value <= limit else f"at most {limit:.10g}"


def option(default: T, help: str, **rules: Any) -> T:
    """Declare a field of `Options`.

    Args:
        default: The default value.
        help: Help text of the option.
        **rules: Other fields of `Option`.
    """
    metadata = {OPTION: Option(help, **rules)}
    if isinstance(default, dict):
        field: Any = dataclasses.field(default_factory=default.copy, metadata=metadata)
        return cast(T, field)
    return dataclasses.field(default=default, metadata=metadata)


def required(help: str, **rules: Any) -> Any:
    """Declare a field of `Options` without a default."""
    return dataclasses.field(metadata={OPTION: Option(help, **rules)})


def check_values(options: Any, declared: type) -> None:
    """Check the values of an object.

    Args:
        options: The object.
        declared: The object's class or a base, whose fields `option` and `required` declare.

    Raises:
        ValueError: A value has a wrong type or is out of range.
    """
    for field in option_fields(declared):
        content = getattr(options, field.name)
        if field.many and not isinstance(content, tuple):
            raise ValueError(f'{field.name} must be a tuple, got "{content}"')
        for value in field.values(content):
            field.check(value, field.name)


@dataclass(frozen=True)
class Options:
    """Base class of a command's options; `option` and `required` declare its fields.

    The type of a field is str, int, float, bool, Path or dict (JSON), one of these or None, or a
    tuple of them. In the help, the fields of each base class form a group; its title is the first
    sentence of the class's docstring.

    Raises:
        ValueError: A value has a wrong type or is out of range.
    """

    def __post_init__(self) -> None:
        """Check each value, then their combinations."""
        check_values(self, type(self))
        self.check()

    def check(self) -> None:
        """Check combinations of values.

        Raises:
            ValueError: A combination is invalid; the message names the options.
        """

    def preflight(self) -> None:
        """Check the files, folders, packages and environments that the values name.

        `parse_options` calls it, so that a wrong call ends before anything is loaded or written.

        Raises:
            ValueError: A check fails; the message names the option.
        """
        for field in option_fields(type(self)):
            if check := field.option.check:
                for value in field.values(getattr(self, field.name)):
                    try:
                        if value is not None:
                            check(value)
                    except (ValueError, OSError) as error:
                        raise ValueError(f"{field.flag}: {error}") from error


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of values."""

    name: str
    """The type in messages, e.g. "a number"."""
    metavar: str
    type: type


KINDS: dict[Any, Kind] = {
    str: Kind("a text", "TEXT", str),
    int: Kind("a whole number", "INT", Integral),
    float: Kind("a number", "FLOAT", Real),
    bool: Kind("true or false", "", bool),
    Path: Kind("a path", "PATH", Path),
    dict: Kind("a JSON object", "NAME=VALUE", dict),
}


@dataclass(frozen=True, slots=True)
class OptionField:
    """A field of `Options`, with its type taken apart."""

    name: str
    option: Option
    type: Any
    """The type of one value: X for `X | None` and for `tuple[X, ...]`."""
    optional: bool
    """Whether the value may be None."""
    many: bool
    """Whether the field holds a tuple of values."""
    default: Any
    """MISSING if the option is required."""
    owner: type
    """The class that declares it."""

    @property
    def flag(self) -> str:
        """The option's name on a command line."""
        return self.name if self.option.positional else f"--{self.name.replace('_', '-')}"

    def values(self, content: Any) -> tuple[Any, ...]:
        """Return the values in a field's content: the content itself, or its items."""
        values: tuple[Any, ...] = content if self.many else (content,)
        return values

    def parse(self, text: str) -> Any:
        """Convert a text of a command line to a checked value.

        Raises:
            ValueError: The text has no valid value.
        """
        try:
            if self.option.parse:
                value = self.option.parse(text)
            elif self.type is dict:
                value = keyword_arguments(text)
            elif self.type is Path and not text:
                raise ValueError("must name a file or folder, got nothing")
            else:
                value = self.type(text)
        except (ValueError, RecursionError) as error:
            if self.option.parse or self.type in (dict, Path):
                reason = str(error)
            else:
                reason = f'must be {KINDS[self.type].name}, got "{shorten(text)}"'
            raise ValueError(f"{self.flag} {reason}") from error
        self.check(value, self.flag, text)
        option = self.option
        if self.type is int and (option.le, option.limit) == (None, None) and value > MAX_INT:
            raise ValueError(f"{self.flag} must be at most {MAX_INT}, got {shorten(text)}")
        return value

    def check(self, value: Any, label: str, text: str | None = None) -> None:
        """Check a value.

        Args:
            value: One value of the field.
            label: The option's name in the message.
            text: The text on the command line; None if the value comes from Python.

        Raises:
            ValueError: The value has a wrong type or is out of range.
        """
        kind, option = KINDS.get(self.type), self.option
        if kind is None or (value is None and self.optional):
            return
        text = shorten(str(value) if text is None else text)
        if not isinstance(value, kind.type) or (self.type is not bool and isinstance(value, bool)):
            raise ValueError(f'{label} must be {kind.name}, got "{text}"')
        if self.type in (int, float) and (bounds := option.violation(value)):
            raise ValueError(f"{label} must be {bounds}, got {text}")
        if option.choices and value not in option.choices:
            *others, last = option.choices
            choices = f"{', '.join(others)} or {last}" if others else last
            suggestion = did_you_mean(text, option.choices)
            raise ValueError(f'{label} must be {choices}, got "{text}"{suggestion}')


def setting(text: str) -> tuple[str, Any]:
    """Parse NAME=VALUE; the value is parsed as JSON if possible, else kept as text."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ValueError(f'must be NAME=VALUE, got "{text}"')
    try:
        return name, json.loads(value)
    except (ValueError, RecursionError):
        return name, value


def keyword_arguments(text: str) -> dict[str, Any]:
    """Parse NAME=VALUE, with the value as JSON if possible, or a JSON object with several."""
    if not text.lstrip().startswith("{"):
        name, value = setting(text)
        return {name: value}
    try:
        values: dict[str, Any] = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f'must be NAME=VALUE or a JSON object, got "{shorten(text)}"') from error
    return values


def shorten(text: str) -> str:
    """Return the beginning of a text that is too long for a message."""
    return text if len(text) <= 80 else f"{text[:77]}..."


def option_fields(config: type) -> tuple[OptionField, ...]:
    """Return the fields of a class of options, those of its base classes first."""
    hints = typing.get_type_hints(config)
    fields = []
    for field in dataclasses.fields(config):
        if OPTION not in field.metadata:
            raise TypeError(
                f"{config.__name__}.{field.name} is declared by neither option nor required"
            )
        hint = hints[field.name]
        optional = isinstance(hint, types.UnionType)
        if optional:
            (hint,) = set(typing.get_args(hint)) - {types.NoneType}
        many = typing.get_origin(hint) is tuple
        if many:
            hint = typing.get_args(hint)[0]
        default = field.default
        if field.default_factory is not MISSING:
            default = field.default_factory()
        owner = next(c for c in config.__mro__ if field.name in inspect.get_annotations(c))
        plain = typing.get_origin(hint) or hint
        fields.append(
            OptionField(field.name, field.metadata[OPTION], plain, optional, many, default, owner)
        )
    return tuple(fields)
