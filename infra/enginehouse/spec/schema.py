"""The JSON Schemas (2020-12) of stack files and lock files, generated from the dataclasses of the formats.

`python -m enginehouse.spec.schema` prints it as it is committed under `schemas/`.
"""

from __future__ import annotations

import json
import sys
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, asdict, fields, is_dataclass
from enum import StrEnum
from functools import cache
from typing import Any, Literal

from enginehouse.spec.model import Spec

ID = "urn:enginehouse:stack:1"
FREE_KEYS = "^x-"
"""Keys that Enginehouse leaves alone, such as places for anchors."""

_SCALARS: Mapping[object, str] = types.MappingProxyType(
    {str: "string", int: "integer", float: "number", bool: "boolean"}
)
_BOUNDS: Mapping[str, frozenset[str]] = types.MappingProxyType(
    {
        "object": frozenset({"minProperties", "maxProperties", "propertyNames"}),
        "array": frozenset({"minItems", "maxItems", "items"}),
        "string": frozenset({"pattern"}),
        "integer": frozenset({"minimum", "maximum"}),
    }
)
"""What can be said of which type."""


@cache
def stack_schema() -> Mapping[str, Any]:
    """The schema of a whole stack file, as it is published."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": ID,
        "title": "Enginehouse stack",
        **schema_of(Spec),
    }


@cache
def schema_of(root: type) -> Mapping[str, Any]:
    """The schema of a file whose document is a `root`."""
    return {
        **_object(root),
        "$defs": {cls.__name__: _object(cls) for cls in sections(root).values() if cls is not root},
    }


def as_text() -> str:
    """The schema as committed: stable order, two spaces, a newline at the end."""
    return json.dumps(stack_schema(), indent=2, ensure_ascii=False) + "\n"


def keys_of(cls: type) -> tuple[Field[Any], ...]:
    """The fields of a dataclass that are keys of the format."""
    return tuple(field for field in fields(cls) if "description" in field.metadata)


@cache
def sections(root: type = Spec) -> Mapping[str, type]:
    """Every mapping with fixed keys: its place and its class. Places: "" (the top), "deployments.NAME.model", ..."""
    return types.MappingProxyType(dict(_sections(root, "")))


def anchored(pattern: str) -> str:
    return f"^(?:{pattern})$"


def _sections(cls: type, place: str) -> Iterator[tuple[str, type]]:
    yield place, cls
    hints = typing.get_type_hints(cls)
    for field in keys_of(cls):
        yield from _inner(hints[field.name], f"{place}.{field.name}".lstrip("."))


def _inner(kind: Any, place: str) -> Iterator[tuple[str, type]]:
    if isinstance(kind, type) and is_dataclass(kind):
        yield from _sections(kind, place)
    origin = typing.get_origin(kind)
    below = "[]" if origin is tuple else ".NAME" if origin is not None and _is_mapping(origin) else ""
    for argument in typing.get_args(kind):
        yield from _inner(argument, place + below)


def _is_mapping(origin: Any) -> bool:
    return isinstance(origin, type) and issubclass(origin, Mapping)


def _object(cls: type) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    required = [f.name for f in keys_of(cls) if f.default is MISSING and f.default_factory is MISSING]
    schema: dict[str, Any] = {
        "description": " ".join((cls.__doc__ or "").split()),
        "type": "object",
        "properties": {f.name: _property(f, hints[f.name]) for f in keys_of(cls)},
        "patternProperties": {FREE_KEYS: {}},
        "additionalProperties": False,
    }
    if kinds := getattr(cls, "EXACTLY_ONE", ()):
        schema["oneOf"] = [{"required": [kind]} for kind in kinds]
    elif required:
        schema["required"] = required
    return schema


def _property(field: Field[Any], kind: Any) -> dict[str, Any]:
    schema = {"description": field.metadata["description"], **_type(kind, dict(field.metadata["bounds"]))}
    if field.default is not MISSING and field.default is not None:
        schema["default"] = list(field.default) if isinstance(field.default, tuple) else field.default
    elif field.default_factory is not MISSING:
        made = field.default_factory()
        schema["default"] = _given(asdict(made)) if is_dataclass(made) and not isinstance(made, type) else made
    return {**schema, "examples": [field.metadata["example"]]}


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Without keys that are left out, and lists that are empty, at any depth."""
    given = {name: value for name, value in values.items() if value not in (None, ())}
    return {name: _given(value) if isinstance(value, Mapping) else value for name, value in given.items()}


def _type(kind: Any, bounds: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a type; `bounds` go to the branch they are meant for."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        kinds = [a for a in arguments if a is not type(None)]
        if len(kinds) == 1:
            return _type(kinds[0], bounds)
        return {"anyOf": [_meant(_type(a, {}), a, bounds) for a in kinds]}
    if origin is Literal:
        return {"const": arguments[0]}
    if origin is tuple:
        items = {**_type(arguments[0], {}), **_patterns(bounds.get("items", {}))}
        return {"type": "array", "items": items, **{k: v for k, v in bounds.items() if k != "items"}}
    if origin is not None:
        values = {} if arguments[1] is Any else {"additionalProperties": _type(arguments[1], {})}
        return {"type": "object", **values, **_patterns(bounds)}
    return {**_plain_type(kind), **_patterns(bounds)}


def _plain_type(kind: type) -> dict[str, Any]:
    if is_dataclass(kind):
        return {"$ref": f"#/$defs/{kind.__name__}"}
    if issubclass(kind, StrEnum):
        return {"enum": [member.value for member in kind]}
    return {"type": _SCALARS[kind]}


def _meant(alone: Mapping[str, Any], kind: Any, bounds: Mapping[str, Any]) -> dict[str, Any]:
    """An alternative, which `alone` describes, with those of all bounds that speak of its type."""
    meant = _BOUNDS.get(alone.get("type", ""), frozenset())
    return _type(kind, {name: value for name, value in bounds.items() if name in meant})


def _patterns(bounds: Mapping[str, Any]) -> dict[str, Any]:
    """The bounds with every pattern anchored at both ends, also inside."""
    return {
        name: anchored(value) if name == "pattern" else _patterns(value) if isinstance(value, Mapping) else value
        for name, value in bounds.items()
    }


if __name__ == "__main__":
    sys.stdout.write(as_text())
