"""What became of each part, as a table and as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, timedelta, timezone

from enginehouse.report.history import history_plain, history_text
from enginehouse.report.lines import as_text
from tests.unit.report.plans import GATEWAY, REPLICA
from tests.unit.verbs.generations import history, sized

HISTORIES = {
    REPLICA.name: history(
        ("one", 1, sized(2048)), ("two", 5, replace(sized(4096), slots=9)), ("heal", 7, replace(sized(4096), slots=9))
    ),
    GATEWAY.name: history(("one", 1, GATEWAY))[:1],
}


def test_history_as_text(golden: Callable[[str, Mapping[str, str]], None]) -> None:
    """Newest first over all parts, one line a difference."""
    golden("cli/history", {"two-parts.txt": as_text(history_text("demo", HISTORIES, UTC))})


def test_moments_are_local() -> None:
    ahead = as_text(history_text("demo", HISTORIES, timezone(timedelta(hours=2))))
    assert "2026-11-24 16:05:00" in ahead


def test_json_tells_the_same() -> None:
    plain, text = history_plain("demo", HISTORIES), as_text(history_text("demo", HISTORIES, UTC))
    assert [row["generation"] for row in plain["history"] if row["part"] == REPLICA.name] == [3, 2, 1]
    assert all(change in text for row in plain["history"] for change in row["changes"])


def test_where_the_beginning_is_not_kept_that_is_said() -> None:
    assert "the oldest that is kept" in as_text(history_text("demo", {REPLICA.name: HISTORIES[REPLICA.name][:2]}, UTC))


def test_a_stack_without_history_is_said() -> None:
    assert as_text(history_text("demo", {REPLICA.name: ()}, UTC)).startswith("demo has no history on its machines")
