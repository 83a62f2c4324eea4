"""What differs between two sets of a part's inputs, by the smallest things that changed. Pure.

A difference is a path such as `args.ctx-size` or `clients.demo.concurrent`. Rendered files follow from the rest, so
they are named only when nothing else explains the change.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

Path: TypeAlias = tuple[str | int, ...]

NOT_COMPARED = frozenset({"rendered", "renamed_from", "owner", "needs"})
"""`rendered` is told by `files`; a former name asks for work only together with a new `name`, which differs then; the
owner is this Pulumi state itself; what a stack needs of its machine, its other parts say themselves."""
LONGEST_VALUE = 60
"""Characters of a value that `in_words` shows."""
_NOT_SET = "not set"


class Kind(StrEnum):
    ADD = "add"
    DELETE = "delete"
    UPDATE = "update"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One difference."""

    path: Path
    kind: Kind

    @property
    def text(self) -> str:
        """The path as Pulumi writes it."""
        return path_text(self.path)


def differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[Difference, ...]:
    """Every difference from `old` to `new`, sorted by where it is in `new`; () if they mean the same.

    None counts as absent.
    """
    found = tuple(_mapping((), _compared(old), _compared(new)))
    return tuple(difference for difference in found if difference.path[0] != "files") or found


def in_words(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    """The differences with their values, such as `args.ctx-size: 2048 => 4096`."""
    return tuple(f"{d.text}: {_shown(old, d.path)} => {_shown(new, d.path)}" for d in differing(old, new))


def path_text(path: Path) -> str:
    """`("args", "ctx-size")` is `args.ctx-size`; keys that would read as more than one step are quoted in brackets."""
    return "".join(_step(step) for step in path).removeprefix(".")


def at(value: Any, path: Path) -> Any:
    """What is at `path`; None if nothing is."""
    for step in path:
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, list | tuple) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None
    return value


def _shown(inputs: Mapping[str, Any], path: Path) -> str:
    value = at(inputs, path)
    if value is None:
        return _NOT_SET
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"


def _step(step: str | int) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    return f"[{json.dumps(step, ensure_ascii=False)}]" if not step or set(step) & set('.[]"') else f".{step}"


def _compared(inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in inputs.items() if name not in NOT_COMPARED}


def _changes(path: Path, old: Any, new: Any) -> Iterator[Difference]:
    if old is None and new is not None:
        yield Difference(path=path, kind=Kind.ADD)
    elif old is not None and new is None:
        yield Difference(path=path, kind=Kind.DELETE)
    elif isinstance(old, Mapping) and isinstance(new, Mapping):
        yield from _mapping(path, old, new)
    elif isinstance(old, list | tuple) and isinstance(new, list | tuple):
        yield from _sequence(path, old, new)
    elif type(old) is not type(new) or old != new:
        yield Difference(path=path, kind=Kind.UPDATE)


def _mapping(path: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Difference]:
    for name in (*new, *(name for name in old if name not in new)):
        yield from _changes((*path, name), old.get(name), new.get(name))


def _sequence(path: Path, old: Sequence[Any], new: Sequence[Any]) -> Iterator[Difference]:
    for index in range(max(len(old), len(new))):
        yield from _changes((*path, index), at(old, (index,)), at(new, (index,)))
