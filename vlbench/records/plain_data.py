"""Convert records to plain data (for JSON) and back, guided by the types of their fields."""

import dataclasses
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from types import UnionType
from typing import (
    Annotated,
    Any,
    Protocol,
    TypeVar,
    cast,
    get_args,
    get_origin,
    get_type_hints,
    runtime_checkable,
)

from vlbench.limits import Limit

MAX_FLOAT = 1e15
"""Largest absolute value of a float in a record."""

T = TypeVar("T")


@runtime_checkable
class CheckedRecord(Protocol):
    """A record whose fields may contradict each other."""

    def check(self) -> None:
        """Raise ValueError if they do; the message names the field."""


def to_json(record: Any) -> dict[str, Any]:
    """Return a record as plain data; fields that hold their defaults are omitted."""
    data = {}
    for name, _, default in _fields(type(record)):
        value = getattr(record, name)
        if value != default:
            data[name] = value if type(value) in _ATOMS else _plain(value)
    return data


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return to_json(value)
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return value


def from_json(kind: type[T], data: Any) -> T:
    """Rebuild a record from plain data.

    Raises:
        ValueError: A field is missing, unknown, has a wrong type, exceeds a limit or contradicts
            another; the message names it.
    """
    if not isinstance(data, Mapping):
        raise ValueError(f"expected an object for a {kind.__name__}, got {type(data).__name__}")
    readers, has_check = _readers_of(cast(Any, kind))
    values: dict[str, Any] = {}
    for name, read, is_required in readers:
        if name in data:
            values[name] = read(data[name])
        elif is_required:
            raise ValueError(f'{kind.__name__} lacks the field "{name}"')
    for name in data:
        if name not in values:
            raise ValueError(f'{kind.__name__} has no field "{name}"')
    record = kind(**values)
    if has_check:
        cast(CheckedRecord, record).check()
    return record


Reader = Callable[[Any], Any]
"""Converts a value of plain data to the type of its field, or raises ValueError."""


@lru_cache
def _readers_of(kind: Any) -> tuple[tuple[tuple[str, Reader, bool], ...], bool]:
    """Return name, reader and whether it is required of each field, and whether there is a check.

    A run may have millions of turns, so types are looked at once and not for each value.
    """
    readers = tuple(
        (name, _reader(f"{kind.__name__}.{name}", field_type), default is dataclasses.MISSING)
        for name, field_type, default in _fields(kind)
    )
    return readers, issubclass(kind, CheckedRecord)


def _reader(place: str, field_type: Any) -> Reader:
    """Return the reader of a field; its messages begin with `place`."""
    origin, inner = get_origin(field_type), get_args(field_type)
    if field_type is Any:
        return lambda value: value
    if isinstance(field_type, type) and dataclasses.is_dataclass(field_type):
        return partial(from_json, field_type)
    if origin is Annotated:
        return _limited(place, inner[1:], _reader(place, inner[0]))
    if origin is UnionType:  # X | None
        read = _reader(place, inner[0])
        return lambda value: None if value is None else read(value)
    if origin is None:
        return partial(_atom, place, field_type)
    read = _reader(place, inner[-1] if origin is dict else inner[0])

    def collection(value: Any) -> Any:
        _check_type(place, origin, value)
        if origin is dict:
            return {name: read(item) for name, item in value.items()}
        return origin(map(read, value))

    return collection


def _atom(place: str, kind: type, value: Any) -> Any:
    """Return a text, number or truth value as its field's type."""
    if type(value) is kind and kind is not float:
        return value
    _check_type(place, kind, value)
    if kind is not float:
        return kind(value)
    if not abs(value) <= MAX_FLOAT:
        raise ValueError(f"{place} must be a finite number")
    return float(value) + 0.0  # no -0.0


def _check_type(place: str, kind: type, value: Any) -> None:
    accepted = _ACCEPTED.get(kind, (kind,))
    if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
        name = "a list" if list in accepted else kind.__name__
        raise ValueError(f"{place} must be {name}, got {value!r:.60}")


def _limited(place: str, limits: tuple[Limit, ...], read: Reader) -> Reader:
    """Return a reader that checks the limits of a field, too; None has no limits."""

    def limited(value: Any) -> Any:
        value = read(value)
        if value is not None:
            try:
                for limit in limits:
                    limit.check(value)
            except ValueError as error:
                raise ValueError(f"{place} {error}") from None
        return value

    return limited


def limits_of(kind: Any) -> dict[str, tuple[Limit, ...]]:
    """Return the limits of each field of a record that has any."""
    return {
        name: get_args(field_type)[1:]
        for name, field_type, _ in _fields(kind)
        if get_origin(field_type) is Annotated
    }


_ATOMS = frozenset({str, int, float, bool, type(None)})
"""Types of values that are plain data as they are."""

_ACCEPTED: dict[Any, tuple[type, ...]] = {
    float: (int, float),
    dict: (dict,),
    list: (list, tuple),
    tuple: (list, tuple),
}
"""Type of a field → types accepted in plain data; any other type accepts only itself."""


def _fields(kind: Any) -> tuple[tuple[str, Any, Any], ...]:
    return _fields_of(kind)


@lru_cache
def _fields_of(kind: Any) -> tuple[tuple[str, Any, Any], ...]:
    """Return name, type and default of each field of a record; MISSING for no default."""
    types = get_type_hints(kind, include_extras=True)
    return tuple(
        (
            field.name,
            types[field.name],
            field.default
            if field.default_factory is dataclasses.MISSING
            else field.default_factory(),
        )
        for field in dataclasses.fields(kind)
    )
