"""Where everything in a stack file stands: the side table of the plain data.

Positions form a tree that mirrors the data. What an alias or a merge brings is one subtree in several places, so the
tree stays as small as the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from enginehouse.diagnostics import Related, Span

KeyPath: TypeAlias = tuple[str | int, ...]
"""Keys and list indexes from the top of the document, such as ("endpoint", "keys", 0, "name")."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """From one place to another; lines and columns count from 0, the end is exclusive."""

    line: int
    column: int
    end_line: int
    end_column: int
    file: str = ""
    """Where it is another one than that of the source."""

    def is_empty(self) -> bool:
        return (self.line, self.column) == (self.end_line, self.end_column)


@dataclass(frozen=True, slots=True)
class Node:
    """A value with its place. `size` and `depth` count it and what is below it after every alias is followed."""

    data: Any
    place: Stretch
    children: Mapping[str | int, Entry] = field(default_factory=dict)
    size: int = 1
    depth: int = 1
    written: str = ""
    """A scalar as it stands in the file, quotes included, if it is on one line."""


@dataclass(frozen=True, slots=True)
class Use:
    """Where an alias or a merge brings something in that stands elsewhere."""

    place: Stretch
    text: str


@dataclass(frozen=True, slots=True)
class Entry:
    """What a mapping or a list holds. `key` of a list entry is the place of its value."""

    key: Stretch
    node: Node
    via: tuple[Use, ...] = ()


NOWHERE = Stretch(0, 0, 0, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A stack file's text and the place of everything in it. A path that the file lacks is at its parent."""

    file: str
    text: str
    root: Node = field(default=Node(None, NOWHERE))
    beside: Mapping[str, str] = field(default_factory=dict)
    """Other files that brought something in: by name, their texts."""

    def key_span(self, path: KeyPath) -> Span:
        """Where the key stands; for a list entry, its value; for the document, its first key."""
        found = list(self._entries(path)) or list(self.root.children.values())[:1]
        return span(self.file, found[-1].key if found else NOWHERE)

    def value_span(self, path: KeyPath) -> Span:
        """Where the value stands; its key if nothing is written there."""
        entries = list(self._entries(path))
        if len(entries) != len(path):
            return self.key_span(path)
        place = entries[-1].node.place if entries else self.root.place
        return self.key_span(path) if place.is_empty() else span(self.file, place)

    def has(self, path: KeyPath) -> bool:
        return sum(1 for _ in self._entries(path)) == len(path)

    def keys(self, path: KeyPath) -> tuple[str, ...]:
        """The keys written at `path`, those from merges included; empty if there is no mapping."""
        entries = list(self._entries(path))
        if len(entries) != len(path):
            return ()
        node = entries[-1].node if entries else self.root
        return tuple(key for key in node.children if isinstance(key, str))

    def written(self, path: KeyPath) -> str:
        """The scalar as the file has it, quotes included; empty if there is none, or if it has several lines."""
        entries = list(self._entries(path))
        return entries[-1].node.written if entries and len(entries) == len(path) else ""

    def uses(self, path: KeyPath) -> tuple[Related, ...]:
        """The aliases and merges that bring in what stands at `path`."""
        return tuple(
            Related(span=span(self.file, use.place), text=use.text) for e in self._entries(path) for use in e.via
        )

    def _entries(self, path: KeyPath) -> Iterator[Entry]:
        node = self.root
        for step in path:
            entry = node.children.get(step)
            if entry is None:
                return
            yield entry
            node = entry.node


def grafted(node: Node, path: KeyPath, entry: Entry) -> Node:
    """The tree with that entry at `path`, above which everything must be there."""
    step, *below = path
    if below:
        above = node.children[step]
        entry = replace(above, node=grafted(above.node, tuple(below), entry))
    data = {**node.data, step: entry.node.data}
    return replace(node, data=data, children={**node.children, step: entry})


def in_file(node: Node, file: str) -> Node:
    """The tree with its places in that file."""
    return _moved(node, file, {})


def _moved(node: Node, file: str, done: dict[int, Node]) -> Node:
    """What aliases bring to many places is moved once."""
    if id(node) not in done:
        children = {
            step: Entry(
                replace(entry.key, file=file),
                _moved(entry.node, file, done),
                tuple(replace(use, place=replace(use.place, file=file)) for use in entry.via),
            )
            for step, entry in node.children.items()
        }
        done[id(node)] = replace(node, place=replace(node.place, file=file), children=children)
    return done[id(node)]


def span(file: str, place: Stretch) -> Span:
    """The place as diagnostics count: from 1."""
    return Span(
        file=place.file or file,
        line=place.line + 1,
        column=place.column + 1,
        end_line=place.end_line + 1,
        end_column=place.end_column + 1,
    )
