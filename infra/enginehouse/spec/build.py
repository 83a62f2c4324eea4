"""Plain data whose shape was checked to the dataclasses of its format.

What the shape check called lost is filled with the format's own example, so that all else can still be looked at.
A value with such a hole is never handed out.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import Field, dataclass, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, TypeVar

from enginehouse.spec.schema import keys_of
from enginehouse.spec.source import KeyPath

T = TypeVar("T")


def build(root: type[T], data: Mapping[str, Any], lost: Iterable[KeyPath] = (), **more: Any) -> T:
    """The document as a `root`. `lost`: paths whose value is wrong or missing; never the document itself.

    `more` are fields of `root` that are no keys of the format.
    """
    return typing.cast(T, _Build(frozenset(lost)).instance(root, data, (), **more))


@dataclass(frozen=True, slots=True)
class _Build:
    lost: frozenset[KeyPath]

    def instance(self, cls: type, data: Mapping[str, Any], path: KeyPath, **more: Any) -> Any:
        """A dataclass from a mapping; keys that are not of the format (`x-...`) are left out."""
        hints = _hints(cls)
        given = {f.name: f for f in keys_of(cls) if f.name in data or (*path, f.name) in self.lost}
        return cls(**more, **{n: self._field(f, hints[n], data, (*path, n)) for n, f in given.items()})

    def _field(self, field: Field[Any], kind: Any, data: Mapping[str, Any], path: KeyPath) -> Any:
        example = field.metadata["example"]
        if path in self.lost:
            return _Build(frozenset()).value(kind, example, path, example)
        return self.value(kind, data[field.name], path, example)

    def value(self, kind: Any, data: Any, path: KeyPath, example: Any) -> Any:
        """A value of type `kind`. `example` is one of the same type, for entries that are lost."""
        kind = _given(kind, data)
        origin, arguments = typing.get_origin(kind), typing.get_args(kind)
        if is_dataclass(kind) and isinstance(kind, type):
            return self.instance(kind, data, path)
        if isinstance(kind, type) and issubclass(kind, Enum):
            return kind(data)
        if isinstance(data, list):
            inner = arguments[0] if origin is tuple else Any
            first = example[0] if isinstance(example, list) else None
            return tuple(self._entry(inner, item, (*path, i), first) for i, item in enumerate(data))
        if origin is not None and isinstance(data, Mapping) and arguments[1] is not Any:
            first = next(iter(example.values()))
            return {key: self._entry(arguments[1], item, (*path, key), first) for key, item in data.items()}
        return data

    def _entry(self, kind: Any, data: Any, path: KeyPath, example: Any) -> Any:
        if path in self.lost:
            return _Build(frozenset()).value(kind, example, path, example)
        return self.value(kind, data, path, example)


def _given(kind: Any, data: Any) -> Any:
    """Of several types that a key may have, the one that the value is of."""
    if typing.get_origin(kind) not in (typing.Union, types.UnionType):
        return kind
    choices = [choice for choice in typing.get_args(kind) if choice is not type(None)]
    if len(choices) == 1:
        return choices[0]
    return next((choice for choice in choices if _fits(choice, data)), kind)


def _fits(kind: Any, data: Any) -> bool:
    if isinstance(data, list):
        return typing.get_origin(kind) is tuple
    if isinstance(data, dict):
        return is_dataclass(kind) or typing.get_origin(kind) is Mapping
    return isinstance(data, str) and isinstance(kind, type) and issubclass(kind, Enum)


@cache
def _hints(cls: type) -> Mapping[str, Any]:
    return typing.get_type_hints(cls)
