"""A dataclass as a command line: fields are options, the docstring under a field is its help."""

import argparse
import ast
import dataclasses
import inspect
import json
import textwrap
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from vlbench.cli import Parser
from vlbench.errors import unknown_name

T = TypeVar("T")


def field_docs(config: type) -> dict[str, str]:
    """Return field name → the docstring under it, of a dataclass and those it inherits from."""
    docs: dict[str, str] = {}
    for owner in reversed([c for c in config.__mro__ if dataclasses.is_dataclass(c)]):
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(owner))).body
        assert isinstance(tree, ast.ClassDef)
        for field, below in zip(tree.body, tree.body[1:], strict=False):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(below, ast.Expr)
                and isinstance(below.value, ast.Constant)
            ):
                docs[field.target.id] = " ".join(str(below.value.value).split())
    return docs


def parse_dataclass(
    config: type[T],
    argv: Sequence[str],
    *,
    prog: str,
    description: str,
    presets: Mapping[str, Mapping[str, Any]] | None = None,
) -> T:
    """Read a command line into a dataclass.

    Args:
        config: Fields of type str, int, float, bool, Path, dict (JSON), or one of these or None. A
            field without default is a required option.
        argv: The command line. With presets, `--preset NAME` sets defaults that options override.
        prog: The command's name.
        description: What it does.
        presets: Name → values of fields.

    Raises:
        ValueError: A wrong call; the message is one line.
    """
    fields = [f for f in dataclasses.fields(config) if f.init]  # type: ignore[arg-type]
    hints, docs = typing.get_type_hints(config), field_docs(config)
    preset: Mapping[str, Any] = {}
    parser = Parser(prog=prog, description=description)
    if presets:
        before = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
        before.add_argument("--preset", nargs="?", const="")
        name = before.parse_known_args(argv)[0].preset
        if name is not None:
            if name not in presets:
                raise ValueError(unknown_name("preset", name, presets))
            preset = presets[name]
        parser.add_argument("--preset", choices=presets, help="values to start from")
    own = [*vars(config).get("__annotations__", {}), *hints]  # before what is inherited
    for field in sorted(fields, key=lambda field: (_has_default(field), own.index(field.name))):
        default = preset.get(field.name, _default(field))
        required = default is dataclasses.MISSING
        kind = _plain(hints[field.name])
        told = docs.get(field.name, "").replace("%", "%%")
        if not required and default not in ("", None, {}):
            told += f" (default: {str(default).replace('%', '%%')})"
        options: dict[str, Any] = {"help": told, "required": required}
        if not required:
            options["default"] = default
        if kind is bool:
            options["action"] = argparse.BooleanOptionalAction
        else:
            options["type"] = _json_object if kind is dict else kind
            options["metavar"] = "JSON" if kind is dict else kind.__name__.upper()
        parser.add_argument(f"--{field.name.replace('_', '-')}", **options)
    given = vars(parser.parse_args(list(argv)))
    return config(**{field.name: given[field.name] for field in fields})


def _has_default(field: Any) -> bool:
    return _default(field) is not dataclasses.MISSING


def _default(field: Any) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _plain(hint: Any) -> type:
    """Return the type of an annotation: `X` of `X | None`, `dict` of `dict[str, Any]`."""
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        (hint,) = [part for part in typing.get_args(hint) if part is not type(None)]
    plain = typing.get_origin(hint) or hint
    assert isinstance(plain, type)
    return plain


def _json_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"wanted a JSON object, got {text!r}")
    return value
