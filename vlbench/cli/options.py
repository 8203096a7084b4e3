"""Options as fields of a dataclass: type, default, range and help stand in one place."""

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
"""Key of an `Option` in the metadata of a field."""

T = TypeVar("T")

MAX_SEED = 2**32 - 1
"""Largest seed that every random generator takes."""


@dataclass(frozen=True, slots=True)
class Option:
    """What an option means, and which values it takes."""

    help: str
    _: KW_ONLY
    gt: float | None = None
    ge: float | None = None
    lt: float | None = None
    le: float | None = None
    choices: Collection[str] = ()
    parse: Callable[[str], Any] | None = None
    """Makes a value of a text, where the type alone doesn't say how; raises ValueError."""
    check: Callable[[Any], None] | None = None
    """Looks at the file, folder or package that a value names; raises ValueError. `preflight`
    calls it."""
    metavar: str = ""
    positional: bool = False
    old_name: str = ""
    """The option's name in the version before, as in `--noise`. It works, with a line on stderr."""

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


def option(default: T, help: str, **rules: Any) -> T:
    """Return a field of `Options`.

    Args:
        default: The value where none is given.
        help: What the option means.
        **rules: Further fields of `Option`.
    """
    metadata = {OPTION: Option(help, **rules)}
    if isinstance(default, dict):
        made: Any = dataclasses.field(default_factory=default.copy, metadata=metadata)
        return cast(T, made)
    return dataclasses.field(default=default, metadata=metadata)


def required(help: str, **rules: Any) -> Any:
    """Return a field of `Options` that has no default."""
    return dataclasses.field(metadata={OPTION: Option(help, **rules)})


def check_values(options: Any, declared: type) -> None:
    """Check the values of an object.

    Args:
        options: The object.
        declared: The class, its own or a base, whose fields `option` and `required` made.

    Raises:
        ValueError: A value is of another type, or out of its range.
    """
    for field in option_fields(declared):
        content = getattr(options, field.name)
        if field.many and not isinstance(content, tuple):
            raise ValueError(f'{field.name} must be a tuple, got "{content}"')
        for value in field.values(content):
            field.check(value, field.name)


@dataclass(frozen=True)
class Options:
    """Base class of a command's options, whose fields are made by `option` and `required`.

    Their types are str, int, float, bool, Path, dict (JSON), one of these or None, or a tuple of
    them. In the help, the fields of a base class are a group of their own, under the first sentence
    of its docstring.

    Raises:
        ValueError: A value is of another type, or out of its range.
    """

    def __post_init__(self) -> None:
        """Check each value, and then what depends on several."""
        check_values(self, type(self))
        self.check()

    def check(self) -> None:
        """Check what depends on several values.

        Raises:
            ValueError: Names the options.
        """

    def preflight(self) -> None:
        """Check what the values name: files, folders, packages, environments.

        `parse_options` calls it, so that a wrong call ends before anything is loaded or written.

        Raises:
            ValueError: Names the option.
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
    """A type that a value may have."""

    name: str
    """As messages call it."""
    metavar: str
    type: type


KINDS: dict[Any, Kind] = {
    str: Kind("a text", "TEXT", str),
    int: Kind("a whole number", "INT", Integral),
    float: Kind("a number", "FLOAT", Real),
    bool: Kind("true or false", "", bool),
    Path: Kind("a path", "PATH", Path),
    dict: Kind("a JSON object", "JSON", dict),
}


@dataclass(frozen=True, slots=True)
class OptionField:
    """A field of `Options`, with what its type says."""

    name: str
    option: Option
    type: Any
    """Of a value: X of `X | None` and of `tuple[X, ...]`."""
    optional: bool
    """Whether None is a value."""
    many: bool
    """Whether it holds a tuple of values."""
    default: Any
    """MISSING where the option is required."""
    owner: type
    """The class that states it."""

    @property
    def flag(self) -> str:
        """Its name on a command line."""
        return self.name if self.option.positional else f"--{self.name.replace('_', '-')}"

    def values(self, content: Any) -> tuple[Any, ...]:
        """Return the values that the field holds."""
        values: tuple[Any, ...] = content if self.many else (content,)
        return values

    def parse(self, text: str) -> Any:
        """Return the value that a text on a command line stands for.

        Raises:
            ValueError: It stands for none.
        """
        try:
            if self.option.parse:
                value = self.option.parse(text)
            elif self.type is dict:
                value = json.loads(text)
            elif self.type is Path and not text:
                raise ValueError("must name a file or folder, got nothing")
            else:
                value = self.type(text)
        except (ValueError, RecursionError) as error:
            ours = self.option.parse or self.type is Path
            reason = str(error) if ours else f'must be {KINDS[self.type].name}, got "{text}"'
            raise ValueError(f"{self.flag} {reason}") from error
        self.check(value, self.flag, text)
        return value

    def check(self, value: Any, label: str, text: str | None = None) -> None:
        """Check a value.

        Args:
            value: One of those that the field holds.
            label: What the message calls the option.
            text: What the command line says, if the value comes from there.

        Raises:
            ValueError: It is of another type, or out of its range.
        """
        kind, option = KINDS.get(self.type), self.option
        if kind is None or (value is None and self.optional):
            return
        given = str(value) if text is None else text
        if not isinstance(value, kind.type) or (self.type is not bool and isinstance(value, bool)):
            raise ValueError(f'{label} must be {kind.name}, got "{given}"')
        if self.type in (int, float) and not option.contains(value):
            raise ValueError(f"{label} must be {option.range or 'finite'}, got {given}")
        if option.choices and value not in option.choices:
            *others, last = option.choices
            choices = f"{', '.join(others)} or {last}" if others else last
            suggestion = did_you_mean(given, option.choices)
            raise ValueError(f'{label} must be {choices}, got "{given}"{suggestion}')


def option_fields(config: type) -> tuple[OptionField, ...]:
    """Return the fields of a class of options, those of its base classes first."""
    hints = typing.get_type_hints(config)
    fields = []
    for field in dataclasses.fields(config):
        if OPTION not in field.metadata:
            raise TypeError(
                f"{config.__name__}.{field.name} is made by neither option nor required"
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
