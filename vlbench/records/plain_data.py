"""Convert records to plain data (for JSON) and back, guided by the types of their fields."""

import dataclasses
from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import UnionType
from typing import (
    Annotated,
    Any,
    Protocol,
    TypeVar,
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
            data[name] = _plain(value)
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
    values: dict[str, Any] = {}
    for name, field_type, default in _fields(kind):
        if name in data:
            values[name] = _value(f"{kind.__name__}.{name}", field_type, data[name])
        elif default is dataclasses.MISSING:
            raise ValueError(f'{kind.__name__} lacks the field "{name}"')
    for name in data:
        if name not in values:
            raise ValueError(f'{kind.__name__} has no field "{name}"')
    record = kind(**values)
    if isinstance(record, CheckedRecord):
        record.check()
    return record


def _value(place: str, field_type: Any, value: Any) -> Any:
    """Convert a value of plain data to the type of its field."""
    origin, inner = get_origin(field_type), get_args(field_type)
    if origin is Annotated:
        return _limited(place, inner[1:], _value(place, inner[0], value))
    if field_type is Any:
        return value
    if origin is UnionType:  # X | None
        return None if value is None else _value(place, inner[0], value)
    if isinstance(field_type, type) and dataclasses.is_dataclass(field_type):
        return from_json(field_type, value)
    accepted = _ACCEPTED.get(origin or field_type, (field_type,))
    if not isinstance(value, accepted) or (isinstance(value, bool) and field_type is not bool):
        name = "a list" if list in accepted else getattr(field_type, "__name__", field_type)
        raise ValueError(f"{place} must be {name}, got {value!r:.60}")
    if field_type is float and not abs(value) <= MAX_FLOAT:
        raise ValueError(f"{place} must be a finite number")
    if origin is dict:
        return {name: _value(place, inner[1], item) for name, item in value.items()}
    if origin is not None:
        return origin(_value(place, inner[0], item) for item in value)
    return field_type(value) + 0.0 if field_type is float else field_type(value)  # no -0.0


def _limited(place: str, limits: Iterable[Limit], value: Any) -> Any:
    """Return a value, checked against the limits of its field; None has no limits."""
    for limit in limits if value is not None else ():
        try:
            limit.check(value)
        except ValueError as error:
            raise ValueError(f"{place} {error}") from None
    return value


def limits_of(kind: Any) -> dict[str, tuple[Limit, ...]]:
    """Return the limits of each field of a record that has any."""
    return {
        name: get_args(field_type)[1:]
        for name, field_type, _ in _fields(kind)
        if get_origin(field_type) is Annotated
    }


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
