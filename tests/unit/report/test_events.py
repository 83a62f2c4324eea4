"""The journal as people read it, and as it is."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC

from enginehouse.converge.journal import Entry
from enginehouse.report.events import event_json, event_line
from enginehouse.report.lines import as_text

CHANGED = Entry(
    at="2026-11-24T14:02:11+00:00",
    event="changed",
    part="chat-box-0",
    who="ada@desk",
    door="pulumi",
    run="r1",
    text="args.ctx-size: 2048 => 4096",
    generation=4,
)
ENTRIES = (
    CHANGED,
    Entry(
        at="2026-11-24T14:03:00+00:00",
        event="hung",
        part="chat-box-0",
        who="watchdog@box",
        door="supervisor",
        run="watchdog-17",
        text="no progress and no answer for 120 s \x1b[31m",
    ),
    Entry(
        at="2026-11-24T14:05:00+00:00",
        event="frozen",
        part="",
        who="bob@desk",
        door="freeze",
        run="r2",
        text="the audit is on",
    ),
)


def test_events_as_text(golden: Callable[[str, Mapping[str, str]], None]) -> None:
    """A line an event; foreign text is shown and not obeyed."""
    golden("cli/events", {"three.txt": as_text(event_line(entry, UTC) for entry in ENTRIES)})


def test_json_is_what_the_journal_holds() -> None:
    assert [json.loads(as_text([event_json(entry)])) for entry in ENTRIES] == [
        json.loads(entry.line()) for entry in ENTRIES
    ]
