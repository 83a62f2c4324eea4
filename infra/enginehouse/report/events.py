"""The journal of a stack: a readable line an event, or the events as they are kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import tzinfo

from enginehouse.converge.journal import Entry
from enginehouse.report.lines import Line, Piece, Style, json_lines, line, piece
from enginehouse.report.moments import local

_STYLES: Mapping[str, Style] = {
    "failed": Style.BAD,
    "hung": Style.BAD,
    "out-of-memory": Style.BAD,
    "not-recovered": Style.BAD,
    "recovered": Style.GOOD,
    "lease-taken-over": Style.WARNING,
    "drained": Style.WARNING,
    "frozen": Style.WARNING,
}
_WIDTH = len("lease-taken-over")
"""Fixed, so that lines that come one by one stand below each other."""


def event_line(entry: Entry, zone: tzinfo | None) -> Line:
    """When, what, of which part, in whose name."""
    part: tuple[Piece | str, ...] = (piece(entry.part, Style.TITLE), ": ") if entry.part else ()
    generation = f"generation {entry.generation}: " if entry.generation is not None else ""
    return line(
        piece(local(entry.at, zone), Style.FAINT),
        "  ",
        piece(entry.event.ljust(_WIDTH), _STYLES.get(entry.event, Style.PLAIN)),
        "  ",
        *part,
        f"{generation}{entry.text}",
        piece(f"  ({entry.who} through {entry.door})", Style.FAINT),
    )


def event_json(entry: Entry) -> Line:
    """The event as its machine keeps it."""
    (row,) = json_lines(json.loads(entry.line()), indent=None)
    return row
