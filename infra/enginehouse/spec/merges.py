"""What a mapping holds once its `<<` merges are followed: its own keys win, then those merged earlier."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from enginehouse.spec.source import Entry, Node, Stretch, Use

MERGE = "<<"


@dataclass(frozen=True, slots=True)
class Written:
    """A value where it is used: what it is, the stretch it takes there, and the alias if it is one."""

    node: Node
    place: Stretch
    via: tuple[Use, ...] = ()


@dataclass(frozen=True, slots=True)
class Pair:
    key: str
    place: Stretch
    value: Written
    is_merge: bool = False


def merged(pairs: Iterable[Pair]) -> dict[str | int, Entry]:
    """The mapping's entries in the order of the file; merged ones stand where the `<<` stands."""
    own = {pair.key for pair in pairs if not pair.is_merge}
    entries: dict[str | int, Entry] = {}
    for pair in pairs:
        if not pair.is_merge:
            entries[pair.key] = Entry(pair.place, pair.value.node, pair.value.via)
            continue
        use = Use(pair.value.place, "merged in here")
        for node in _mappings(pair.value.node):
            for key, entry in node.children.items():
                if key not in own and key not in entries:
                    entries[key] = Entry(entry.key, entry.node, (*entry.via, use))
    return entries


def can_merge(node: Node) -> bool:
    """Only a mapping or a list of mappings can be merged."""
    return isinstance(node.data, dict) or (isinstance(node.data, list) and all(isinstance(d, dict) for d in node.data))


def _mappings(node: Node) -> Iterator[Node]:
    if isinstance(node.data, dict):
        yield node
    else:
        yield from (entry.node for entry in node.children.values())
