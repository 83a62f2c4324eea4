"""Journal lines and standing orders as texts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from enginehouse.connectors import Connectors
from enginehouse.connectors.fake import FakeConnector
from enginehouse.converge import Context, Run
from enginehouse.converge.journal import LONGEST_TEXT, Entry, Word, parse
from enginehouse.converge.records import events, history
from enginehouse.converge.standing import Order, from_json, to_json
from enginehouse.planner.parts import ConnectionKind
from tests.simulated.plans import PLANS

HOST = PLANS[1024].hosts[0]
ENTRY = Entry(
    at="2026-11-24T12:00:00+00:00",
    event=Word.CHANGED,
    part="chat-box-0",
    who="ada@desk",
    door="pulumi",
    run="run-1",
    text="args.ctx-size: 2048 => 4096",
    generation=3,
)
ORDER = Order(run="run-1", who="ada@desk", door="drain", at="2026-11-24T12:00:00+00:00", reason="a new fan, “quiet”")


@pytest.fixture
def machine() -> FakeConnector:
    return FakeConnector("box")


@pytest.fixture
def context(machine: FakeConnector) -> Context:
    return Context(
        run=Run(id="run-1", who="ada@desk", door="test"),
        connectors=Connectors({ConnectionKind.LOCAL: lambda host, connection: machine}),
        listen=lambda event: None,
        uploads_from=Path("/nowhere"),
    )


def test_a_line_is_read_as_it_was_written() -> None:
    """One line of JSON, in the order a person reads it; only `changed` has a generation."""
    assert list(parse(ENTRY.line())) == [ENTRY]
    assert list(json.loads(ENTRY.line())) == ["at", "event", "part", "who", "door", "run", "text", "generation"]
    assert "generation" not in json.loads(Entry(**{**_fields(ENTRY), "generation": None}).line())


def test_a_line_is_one_write() -> None:
    """However long the text is and whatever it holds."""
    long = Entry(**{**_fields(ENTRY), "text": "first\nsecond " + "ü🦙" * 4000})
    assert len(long.line().encode()) < 4096
    (read,) = parse(long.line())
    assert read.text.startswith("first second ü")
    assert len(read.text) == LONGEST_TEXT
    assert read.text.endswith(" …")


@pytest.mark.parametrize("line", ["", "{", "[]", "3", '"text"', '{"at": "now"}', "null"])
def test_what_is_no_entry_is_skipped(line: str) -> None:
    """Between two that are."""
    assert list(parse(f"{ENTRY.line()}\n{line}\n{ENTRY.line()}\n")) == [ENTRY, ENTRY]


def test_an_order_is_read_as_it_was_written() -> None:
    """And says who, since when, how and why."""
    assert from_json(to_json(ORDER)) == ORDER
    assert str(ORDER) == "by ada@desk since 2026-11-24T12:00:00+00:00 through drain: a new fan, “quiet”"


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null", '{"who": "ada"}'])
def test_an_order_that_cannot_be_read_is_an_order(text: str) -> None:
    """It was written by somebody for something."""
    assert from_json(text).who == "somebody"


def test_reading_is_one_script_and_bears_noise(machine: FakeConnector, context: Context) -> None:
    """A login banner before, and a value whose beginning was cut off."""
    machine.on("events.jsonl", f"welcome\n{ENTRY.line()}\n")
    assert events(HOST, context) == (ENTRY,)
    machine.on("/history", 'welcome\n"}}\0\x32\t{"format": 1')
    assert history(HOST, context) == ()
    assert len(machine.calls) == 2


def _fields(entry: Entry) -> dict[str, object]:
    return {name: getattr(entry, name) for name in Entry.__dataclass_fields__}
