"""The parser's marks to places as a person sees them: a value's own stretch, without its anchor and what follows it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import yaml

from enginehouse.spec.source import NOWHERE, Stretch

Event: TypeAlias = Any
"""One of PyYAML's events; its type stubs leave open what every event has."""

_ANCHOR = re.compile(r"&\S+")
_NOTHING = re.compile(r"\s*(#.*)?$")
_INDENT = re.compile(r"[ \t]*")
_BLOCK_STYLES = ("|", ">")


@dataclass(frozen=True, slots=True)
class Places:
    lines: Sequence[str]

    def of(self, event: Event) -> Stretch:
        """The place of a scalar, an alias, or the start of a collection."""
        line, column = self._start(event)
        if getattr(event, "style", None) in _BLOCK_STYLES:
            return Stretch(line, column, *self._last_text(line, event.end_mark.line))
        return Stretch(line, column, event.end_mark.line, event.end_mark.column)

    def text_of(self, place: Stretch) -> str:
        """What stands there; empty if it is more than one line."""
        if place.line != place.end_line or place.line >= len(self.lines):
            return ""
        return self.lines[place.line][place.column : place.end_column]

    def of_anchor(self, event: Event) -> Stretch:
        """The place of the event's anchor, which must be there."""
        line, column = event.start_mark.line, event.start_mark.column
        return Stretch(line, column, line, column + len(event.anchor) + 1)

    def of_collection(self, start: Event, end: Event, inside: Sequence[Stretch]) -> Stretch:
        """A collection in brackets with them; else from its first entry to the end of its last.

        `inside`: the places of everything in it, in order.
        """
        if getattr(start, "flow_style", False) or not inside:
            return Stretch(*self._start(start), end.end_mark.line, end.end_mark.column)
        line, column = (inside[0].line, inside[0].column) if getattr(start, "anchor", None) else self._start(start)
        return Stretch(line, column, inside[-1].end_line, inside[-1].end_column)

    def of_mark(self, mark: Any) -> Stretch:
        """The place where the parser stopped: at most the end of the text, its start if there is no mark."""
        if mark is None or not self.lines:
            return NOWHERE
        line = min(mark.line, len(self.lines) - 1)
        end = len(self.lines[line])
        column = min(mark.column, end) if line == mark.line else end
        return Stretch(line, column, line, column + 1)

    def tab_before(self, place: Stretch) -> Stretch | None:
        """The first tab in the indentation of the line, if there is one."""
        text = self.lines[place.line] if self.lines else ""
        indent = _INDENT.match(text)
        column = indent[0].find("\t") if indent else -1
        return Stretch(place.line, column, place.line, column + 1) if column >= 0 else None

    def _start(self, event: Event) -> tuple[int, int]:
        line, column = event.start_mark.line, event.start_mark.column
        if isinstance(event, yaml.AliasEvent) or not getattr(event, "anchor", None):
            return line, column
        anchor = _ANCHOR.match(self.lines[line], column)
        column = anchor.end() if anchor else column
        while line < event.end_mark.line and _NOTHING.match(self.lines[line], column):
            line, column = line + 1, 0
        indent = _INDENT.match(self.lines[line], column)
        return line, min(indent.end() if indent else column, _limit(event, line))

    def _last_text(self, first: int, behind: int) -> tuple[int, int]:
        """The end of the last line with text from `first` up to `behind`, which is not part of it."""
        last = max((n for n in range(first, min(behind, len(self.lines))) if self.lines[n].strip()), default=first)
        return last, len(self.lines[last].rstrip())


def _limit(event: Event, line: int) -> int:
    """An empty scalar ends where its anchor does."""
    end: int = event.end_mark.column
    return end if line == event.end_mark.line and isinstance(event, yaml.ScalarEvent) else 1 << 30
