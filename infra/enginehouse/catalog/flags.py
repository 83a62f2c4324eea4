"""The lists of flags, as values. Stack files name flags without dashes, so lookups take names without dashes."""

from __future__ import annotations

import difflib
import importlib.resources
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from types import MappingProxyType
from typing import Any

_HISTORY = "history.json"
_CLOSE = 0.72
"""Similarity from which a name counts as a slip of another: `ctx-sise` does, `cache` for `cache-ram` does not."""
_SHORT = 3
"""Names of so few letters are near to anything and never suggested."""


class Value(StrEnum):
    """What has to follow a flag on the command line."""

    SWITCH = "switch"
    INT = "int"
    """A whole number of 32 bits; where the flag has choices, those words too."""
    LONG = "long"
    """A whole number of 64 bits."""
    NUMBER = "number"
    TEXT = "text"
    """Any text; where the flag has choices, one of those."""
    PAIR = "pair"
    """Two words."""


class Many(StrEnum):
    """How a flag takes several values."""

    COMMA = "comma"
    """In one word, separated by commas."""
    REPEAT = "repeat"
    """By being repeated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """One flag. Names have no dashes; `name` is the first long one and stands for all of them."""

    name: str
    names: tuple[str, ...]
    off: tuple[str, ...] = ()
    """Names that switch it off, the first long one first."""
    value: Value
    choices: tuple[str, ...] = ()
    many: Many | None = None

    def on_command_line(self, written: str) -> str:
        """The long name that means the same as `written`, one of this flag's names."""
        return self.off[0] if written in self.off else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A flag that came or went."""

    since: str
    """First known version with it."""
    gone: str | None
    """First known version without it, or that refuses it."""
    instead: tuple[str, ...]
    """What to write now, without dashes, each `name` or `name value`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagList:
    """All flags of one version of one engine."""

    engine: str
    version: str
    flags: Mapping[str, Flag]
    """Every name, short and long, to its flag."""

    def find(self, written: str) -> Flag | None:
        return self.flags.get(written)

    def meant(self, written: str) -> str | None:
        """The name that `written` is a slip of: leading dashes, `_` for `-`, capitals, a near miss. None if of none."""
        bare = tidy(written)
        for candidate in (bare, bare.lower()):
            if candidate in self.flags:
                return candidate
        long_names = sorted(name for name in self.flags if len(name) > _SHORT)
        return next(iter(difflib.get_close_matches(bare.lower(), long_names, n=1, cutoff=_CLOSE)), None)


@cache
def versions(engine: str) -> tuple[str, ...]:
    """The versions with a list, oldest first; empty for an engine without lists."""
    folder = importlib.resources.files(__package__) / engine
    names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    return tuple(sorted((n.removesuffix(".json") for n in names if n != _HISTORY), key=_age))


def nearest(engine: str, version: str) -> str:
    """The version whose list is used for `version`: itself, else the newest that is older, else the oldest there is."""
    known = versions(engine)
    older = [v for v in known if _age(v) <= _age(version)]
    return older[-1] if older else known[0]


def tidy(written: str) -> str:
    """An option's name without what command lines and programming languages make of it."""
    return written.lstrip("-").replace("_", "-")


def is_before(version: str, other: str) -> bool:
    return _age(version) < _age(other)


@cache
def flag_list(engine: str, version: str) -> FlagList:
    """The list of exactly this version. Raises `FileNotFoundError` if there is none."""
    found = [_flag(entry) for entry in _read(engine, f"{version}.json")]
    by_name = {name: flag for flag in found for name in (*flag.names, *flag.off)}
    return FlagList(engine=engine, version=version, flags=MappingProxyType(by_name))


@cache
def history(engine: str) -> Mapping[str, Change]:
    """Names without dashes to what became of them; only those that came or went between the known versions."""
    found: dict[str, Change] = {}
    for entry in _read(engine, _HISTORY):
        change = Change(since=entry["since"], gone=entry.get("gone"), instead=_bare(entry.get("instead", ())))
        found.update(dict.fromkeys(_bare(entry["names"]), change))
    return MappingProxyType(found)


def _read(engine: str, file: str) -> list[dict[str, Any]]:
    text = (importlib.resources.files(__package__) / engine / file).read_text(encoding="utf-8")
    entries: list[dict[str, Any]] = json.loads(text)["flags"]
    return entries


def _flag(entry: Mapping[str, Any]) -> Flag:
    names = _bare(entry["names"])
    return Flag(
        name=names[0],
        names=names,
        off=_bare(entry.get("off", ())),
        value=Value(entry["value"]),
        choices=tuple(entry.get("choices", ())),
        many=Many(entry["many"]) if "many" in entry else None,
    )


def _bare(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.lstrip("-") for name in names))


def _age(version: str) -> tuple[tuple[int, str], ...]:
    """Sorts versions: the numbers in them, in order. As digits: a stack file may hold more than Python converts."""
    numbers = (number.lstrip("0") for number in re.findall(r"[0-9]+", version))
    return tuple((len(number), number) for number in numbers)
