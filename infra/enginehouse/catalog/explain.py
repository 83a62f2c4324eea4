"""Known failures: from the lines of a log to what they mean and what to do. Pure; the facts are in `errors/*.json`.

Rows of an engine come before those of every program on a machine, and rows marked `last` after all others: they are
warnings and consequences, which stand in a log beside the cause.
"""

from __future__ import annotations

import importlib.resources
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

ANY = "any"
"""The rows that hold for every program."""
SHOWN_LINES = 20
"""How many last lines of a log a failure shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One known failure. Named groups of `pattern` stand in `cause` and `fix` as `{name}`."""

    id: str
    pattern: re.Pattern[str]
    example: str
    cause: str
    fix: str
    source: tuple[str, ...]
    last: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What `line` means. `fix` names keys of the stack file where it can."""

    row: Row
    line: str
    cause: str
    fix: str


@cache
def rows(engine: str = ANY) -> tuple[Row, ...]:
    """What is known about that engine and about programs in general, the most telling first."""
    found = [row for name in dict.fromkeys((engine, ANY)) for row in _read(name)]
    return tuple(sorted(found, key=lambda row: row.last))


def explain(lines: Sequence[str], engine: str = ANY) -> Explanation | None:
    """The first row that matches a line; of several such lines, the latest."""
    for row in rows(engine):
        for line in reversed(lines):
            if found := row.pattern.search(line):
                named = found.groupdict()
                return Explanation(row=row, line=line, cause=_fill(row.cause, named), fix=_fill(row.fix, named))
    return None


def reasons(log: Sequence[str], what: str = "", engine: str = ANY) -> tuple[str, ...]:
    """What a person is shown about a failure: the last lines of `log`, and cause and fix if it is a known one.

    `what`, our own sentence about the failure, is searched, too, but not repeated. A telling line that stands before
    the last ones, such as one above a long usage text, comes first.
    """
    found = explain((what, *log), engine)
    last = tuple(log[-SHOWN_LINES:])
    if found is None:
        return last
    first = () if found.line == what or found.line in last else (found.line, "...")
    return (*first, *last, f"cause: {found.cause}", f"fix: {found.fix}")


def _fill(text: str, named: dict[str, str]) -> str:
    for name, value in named.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def _read(engine: str) -> Iterator[Row]:
    file = importlib.resources.files(__package__) / "errors" / f"{engine}.json"
    if not file.is_file():
        return
    for entry in json.loads(file.read_text(encoding="utf-8"))["rows"]:
        yield _row(entry)


def _row(entry: dict[str, Any]) -> Row:
    return Row(
        id=entry["id"],
        pattern=re.compile(entry["pattern"]),
        example=entry["example"],
        cause=entry["cause"],
        fix=entry["fix"],
        source=tuple(entry["source"]),
        last=entry.get("last", False),
    )
