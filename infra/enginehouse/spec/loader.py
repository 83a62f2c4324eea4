"""YAML text to plain data and the place of everything in it, in one walk over the parser's events.

Events and not composed nodes, since only an event knows where an alias stands; see docs/design/0002-yaml-events.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

import yaml

from enginehouse.diagnostics import Diagnostic, Related
from enginehouse.spec.codes import Code
from enginehouse.spec.merges import MERGE, Pair, Written, can_merge, merged
from enginehouse.spec.places import Event, Places
from enginehouse.spec.problems import MOST_PROBLEMS, TOO_MANY, printable
from enginehouse.spec.scalars import resolve
from enginehouse.spec.source import NOWHERE, Entry, Node, Source, Stretch, Use, span

MAX_DEPTH = 32
MAX_NODES = 30_000
"""After aliases are followed; a stack with 500 deployments has about 15,000. Keeps every answer below a second."""
MAX_TEXT = 64 * 1024
"""Characters of one value; the longest chat templates have about 20,000."""
TEXT_PER_NODE = 100
"""So many characters of a text count like another value, else a few aliases could stand for gigabytes."""

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def parse(text: str, file: str, *, loader: Any = LOADER) -> tuple[Source, tuple[Diagnostic, ...]]:
    """Plain dicts, lists and scalars under `root.data`, with every problem of the YAML itself.

    `text` must have passed `reading.inspect`. What can't be read at all leaves no data; after any other problem the
    data is complete enough for further checks.
    """
    builder = _Builder(file=file, places=Places(text.splitlines()))
    root = Node(None, NOWHERE)
    try:
        root = builder.document(yaml.parse(text, Loader=loader))
    except yaml.YAMLError as error:
        builder.add_syntax(error)
    except _Stop:
        pass  # the reason is among the problems
    return Source(file=file, text=text, root=root), tuple(builder.problems)


class _Stop(Exception):
    """Nothing sensible can be read any more. Never leaves this module."""


@dataclass(slots=True)
class _Builder:
    file: str
    places: Places
    problems: list[Diagnostic] = field(default_factory=list)
    anchors: dict[str, tuple[Stretch, Node | None]] = field(default_factory=dict)
    """By name: where the anchor stands and what it names, None while that is still being read."""
    count: int = 0

    def document(self, events: Iterator[Event]) -> Node:
        """The one document of the stream."""
        next(events)  # the stream starts
        if isinstance(next(events), yaml.StreamEndEvent):
            self._stop(Code.EMPTY_FILE, "the file is empty", NOWHERE, "docs/stack-format.md starts with a small stack")
        root = self._written(next(events), events, 1).node
        next(events)  # the document ends
        after = next(events)
        if not isinstance(after, yaml.StreamEndEvent):
            self._stop(
                Code.SEVERAL_DOCUMENTS, "a second document starts here", self.places.of(after), "one file is one stack"
            )
        return root

    def add_syntax(self, error: yaml.YAMLError) -> None:
        """The parser's own words at their places; a tab that indents gets words of our own."""
        place = self.places.of_mark(getattr(error, "problem_mark", None))
        tab = self.places.tab_before(place)
        if tab is not None:
            self._add(Code.YAML_TAB, "a tab indents this line", tab, "YAML is indented with spaces only")
            return
        context, begun = getattr(error, "context", None), self.places.of_mark(getattr(error, "context_mark", None))
        related = self._related(begun, str(context)) if context and begun.line != place.line else ()
        hint = "check quotes, brackets, colons and indentation here and in the lines above"
        self._add(Code.YAML_SYNTAX, f"this is not YAML: {getattr(error, 'problem', error)}", place, hint, related)

    def _written(self, event: Event, events: Iterator[Event], depth: int) -> Written:
        self.count += 1
        if isinstance(event, yaml.AliasEvent):
            written = self._alias(event)
        else:
            node = self._node(event, events, depth)
            written = Written(node, node.place)
        if depth + written.node.depth - 1 > MAX_DEPTH:
            self._too_deep(written.place)
        if max(self.count, written.node.size) > MAX_NODES:
            hint = "what an alias names counts as often as it is used, and long texts count several times"
            self._stop(Code.TOO_MANY_NODES, f"the file has more than {MAX_NODES} values", written.place, hint)
        return written

    def _alias(self, event: Event) -> Written:
        place = self.places.of(event)
        if event.anchor not in self.anchors:
            self._stop(Code.UNKNOWN_ALIAS, f'no anchor "&{event.anchor}" stands before this alias', place)
        anchored_at, node = self.anchors[event.anchor]
        if node is None:
            related = self._related(anchored_at, "the value starts here")
            self._stop(
                Code.RECURSIVE_ALIAS,
                f'alias "*{event.anchor}" stands inside the value it names',
                place,
                related=related,
            )
        return Written(node, place, (Use(place, f'used here as "*{event.anchor}"'),))

    def _node(self, event: Event, events: Iterator[Event], depth: int) -> Node:
        if depth > MAX_DEPTH:
            self._too_deep(self.places.of(event))
        if event.tag is not None:
            summary = f'the tag "{event.tag}" has no meaning here'
            self._add(Code.YAML_TAG, summary, self.places.of(event), "write a text in quotes, anything else as it is")
        if event.anchor is not None:
            self._open_anchor(event)
        node = self._content(event, events, depth)
        if event.anchor is not None:
            self.anchors[event.anchor] = (self.anchors[event.anchor][0], node)
        return node

    def _open_anchor(self, event: Event) -> None:
        place = self.places.of_anchor(event)
        if event.anchor in self.anchors:
            related = self._related(self.anchors[event.anchor][0], "first defined here")
            self._add(
                Code.DUPLICATE_ANCHOR,
                f'anchor "&{event.anchor}" is defined twice',
                place,
                "rename one of them",
                related,
            )
        self.anchors[event.anchor] = (place, None)

    def _content(self, event: Event, events: Iterator[Event], depth: int) -> Node:
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(event, events, depth)
        return self._mapping(event, events, depth)

    def _scalar(self, event: Event) -> Node:
        place = self.places.of(event)
        if len(event.value) > MAX_TEXT:
            self._stop(Code.TEXT_TOO_LONG, f"a text has more than {MAX_TEXT} characters", place)
        data = event.value if event.style else resolve(event.value)
        size = 1 + len(event.value) // TEXT_PER_NODE
        return Node(data, place, size=size, written=self.places.text_of(place))

    def _sequence(self, start: Event, events: Iterator[Event], depth: int) -> Node:
        items: list[Written] = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            items.append(self._written(event, events, depth + 1))
        place = self.places.of_collection(start, event, [item.place for item in items])
        entries: dict[str | int, Entry] = {i: Entry(w.place, w.node, w.via) for i, w in enumerate(items)}
        return _collection([item.node.data for item in items], place, entries)

    def _mapping(self, start: Event, events: Iterator[Event], depth: int) -> Node:
        pairs: dict[str, Pair] = {}
        inside: list[Stretch] = []
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            key = self._written(event, events, depth + 1)
            value = self._written(next(events), events, depth + 1)
            inside += [key.place, value.place]
            text = self._key_text(key, event)
            if text is not None:
                self._put(pairs, Pair(text, key.place, value, is_merge=text == MERGE and _is_plain(event)))
        entries = merged(pairs.values())
        place = self.places.of_collection(start, event, inside)
        return _collection({key: entry.node.data for key, entry in entries.items()}, place, entries)

    def _key_text(self, key: Written, event: Event) -> str | None:
        """The key as a text; None for what can't be one and is left out."""
        if isinstance(key.node.data, str):
            return key.node.data
        if isinstance(key.node.data, dict | list):
            hint = "a text with { or [ at its start needs quotes; templates are not filled in"
            self._add(Code.KEY_NOT_TEXT, "a mapping or a list can't be a key", key.place, hint)
            return None
        written = str(getattr(event, "value", key.node.data))
        summary = f"the key {written} is not a text" if written else "a key is missing before this colon"
        self._add(Code.KEY_NOT_TEXT, summary, key.place, f'write "{written}" in quotes' if written else "")
        return written or None

    def _put(self, pairs: dict[str, Pair], pair: Pair) -> None:
        """Keeps the first of several pairs with the same key, and no merge of what can't be merged."""
        if pair.is_merge and not can_merge(pair.value.node):
            hint = "write `<<: *name` or `<<: [*one, *two]`"
            self._add(Code.BAD_MERGE, "only a mapping or a list of mappings can be merged", pair.value.place, hint)
            return
        first = pairs.setdefault(pair.key, pair)
        if first is not pair:
            hint = "write `<<: [*one, *two]`" if pair.is_merge else "keep one of them"
            related = self._related(first.place, "first defined here")
            self._add(Code.DUPLICATE_KEY, f'key "{pair.key}" is defined twice', pair.place, hint, related)

    def _too_deep(self, place: Stretch) -> NoReturn:
        self._stop(Code.TOO_DEEP, f"values are nested more than {MAX_DEPTH} levels deep", place)

    def _stop(
        self, code: Code, summary: str, place: Stretch, hint: str = "", related: tuple[Related, ...] = ()
    ) -> NoReturn:
        self._add(code, summary, place, hint, related)
        raise _Stop

    def _add(self, code: Code, summary: str, place: Stretch, hint: str = "", related: tuple[Related, ...] = ()) -> None:
        if len(self.problems) == MOST_PROBLEMS:
            code, summary, hint, related = Code.TOO_MANY_PROBLEMS, TOO_MANY, "", ()
        self.problems.append(
            Diagnostic(
                code=code,
                summary=printable(summary),
                span=span(self.file, place),
                hint=printable(hint),
                related=tuple(replace(other, text=printable(other.text)) for other in related),
            )
        )
        if len(self.problems) > MOST_PROBLEMS:
            raise _Stop

    def _related(self, place: Stretch, text: str) -> tuple[Related, ...]:
        return (Related(span=span(self.file, place), text=text),)


def _collection(data: Any, place: Stretch, entries: dict[str | int, Entry]) -> Node:
    nodes = [entry.node for entry in entries.values()]
    size = 1 + sum(node.size for node in nodes)
    return Node(data, place, entries, size, 1 + max((node.depth for node in nodes), default=0))


def _is_plain(event: Event) -> bool:
    return isinstance(event, yaml.ScalarEvent) and not event.style
