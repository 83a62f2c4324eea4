"""Parts to plain JSON-able data and back; the one translation that provider, manifest and CLI share."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, TypeVar

from enginehouse.planner.parts import EndpointPart, GatewayPart, HostPart, Part, ReplicaPart, WeightsPart

T = TypeVar("T")

KINDS: Mapping[str, type[Part]] = types.MappingProxyType(
    {"host": HostPart, "weights": WeightsPart, "replica": ReplicaPart, "gateway": GatewayPart, "endpoint": EndpointPart}
)


def kind_of(part: Part) -> str:
    """The part's kind as it is called in plans, events and resource types."""
    return next(kind for kind, cls in KINDS.items() if type(part) is cls)


def to_plain(value: Any) -> Any:
    """Dataclasses to dicts, tuples to lists, enums to their values. Keys keep their order."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(k): to_plain(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return [to_plain(v) for v in value]
    return value


def from_plain(cls: type[T], data: Any) -> T:
    """The inverse of `to_plain` for dataclass `cls`; unknown keys are ignored, so old manifests stay readable.

    Raises `TypeError` when a required field is missing.
    Floats become ints where an int is declared: Pulumi has floats only.
    """
    return typing.cast(T, _build(cls, data))


def _build(kind: Any, data: Any) -> Any:
    origin = typing.get_origin(kind)
    arguments = typing.get_args(kind)
    if is_dataclass(kind) and isinstance(kind, type):
        hints = _hints(kind)
        return kind(**{f.name: _build(hints[f.name], data[f.name]) for f in fields(kind) if f.name in data})
    if origin in (typing.Union, types.UnionType):
        return _build_union(arguments, data)
    if origin is tuple:
        return tuple(_build(arguments[0], item) for item in data)
    if origin is not None and issubclass(origin, Mapping):
        return {name: _build(arguments[1], item) for name, item in data.items()}
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(data)
    if kind is int and isinstance(data, float):
        return int(data)
    return data


@cache
def _hints(kind: type) -> Mapping[str, Any]:
    """Resolving them takes many times as long as building the value, and a class has the same ones for ever."""
    return typing.get_type_hints(kind)


def _build_union(choices: tuple[Any, ...], data: Any) -> Any:
    if data is None:
        return None
    if isinstance(data, list | tuple):
        return _build(next(c for c in choices if typing.get_origin(c) is tuple), data)
    remaining = [c for c in choices if c is not type(None) and typing.get_origin(c) is not tuple]
    return _build(remaining[0], data) if len(remaining) == 1 else data
