"""What differs between the inputs a resource was last given and those it is given now. Pure.

A difference is a path to the smallest thing that changed, such as `args.ctx-size` or `clients[1].secrets[0]`. Rendered
files follow from the rest, so they are named only when nothing else explains the change.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

from enginehouse.provider.wire import UNKNOWN, Hidden

Path: TypeAlias = tuple[str | int, ...]

NOT_COMPARED = frozenset({"rendered", "renamed_from"})
"""`rendered` is told by `files`; a former name asks for work only together with a new `name`, which differs then."""
IDENTITY = ("stack", "host", "machine_id")
"""Inputs that make it another thing when they change; so does `name`, unless it is a declared rename."""


class Kind(StrEnum):
    ADD = "add"
    DELETE = "delete"
    UPDATE = "update"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One difference. `replaces`: the resource is deleted and made anew."""

    path: Path
    kind: Kind
    replaces: bool = False

    @property
    def text(self) -> str:
        """The path as Pulumi writes it."""
        return path_text(self.path)


def diff(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[Change, ...]:
    """Every difference from `old` to `new` inputs, sorted by where it is in `new`; () if they mean the same.

    None counts as absent. What a preview can't know yet counts as a difference.
    """
    changes = [
        Change(path=change.path, kind=change.kind, replaces=_replaces(change.path[0], old, new))
        for change in _mapping((), _compared(old), _compared(new))
    ]
    semantic = [change for change in changes if change.path[0] != "files"]
    return tuple(semantic or changes)


def path_text(path: Path) -> str:
    """`("args", "ctx-size")` is `args.ctx-size`; keys that would read as more than one step are quoted in brackets."""
    return "".join(_step(step) for step in path).removeprefix(".")


def _step(step: str | int) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    return f"[{json.dumps(step, ensure_ascii=False)}]" if not step or set(step) & set('.[]"') else f".{step}"


def _compared(inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in inputs.items() if name not in NOT_COMPARED}


def _replaces(name: str | int, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    if name == "name":
        return bool(new.get("renamed_from") != old.get("name"))
    return name in IDENTITY and new.get(str(name)) is not UNKNOWN


def _changes(path: Path, old: Any, new: Any) -> Iterator[Change]:
    old, new = _seen(old), _seen(new)
    if old is None and new is not None:
        yield Change(path=path, kind=Kind.ADD)
    elif old is not None and new is None:
        yield Change(path=path, kind=Kind.DELETE)
    elif isinstance(old, Mapping) and isinstance(new, Mapping):
        yield from _mapping(path, old, new)
    elif isinstance(old, list | tuple) and isinstance(new, list | tuple):
        yield from _sequence(path, old, new)
    elif old is UNKNOWN or new is UNKNOWN or type(old) is not type(new) or old != new:
        yield Change(path=path, kind=Kind.UPDATE)


def _seen(value: Any) -> Any:
    """A secret is compared by what it hides: that a value became secret is no change on a machine."""
    return _seen(value.value) if isinstance(value, Hidden) else value


def _mapping(path: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    for name in (*new, *(name for name in old if name not in new)):
        yield from _changes((*path, name), old.get(name), new.get(name))


def _sequence(path: Path, old: Sequence[Any], new: Sequence[Any]) -> Iterator[Change]:
    for index in range(max(len(old), len(new))):
        yield from _changes((*path, index), _at(old, index), _at(new, index))


def _at(items: Sequence[Any], index: int) -> Any:
    return items[index] if index < len(items) else None
