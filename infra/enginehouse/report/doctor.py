"""What `doctor` found, as one table and a list of what to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from enginehouse.planner.codec import to_plain
from enginehouse.report.lines import Line, Piece, Style, line, piece, table

HEADINGS = ("what", "state", "version", "where")
_NOTHING = "-"


class Health(StrEnum):
    OK = "ok"
    OLD = "too old"
    MISSING = "missing"
    WRONG = "wrong"
    """It is there, but can't be used as it is."""

    def is_good(self) -> bool:
        return self is Health.OK


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing this machine should have. `needed` is what would be right, `remedy` how to get there."""

    name: str
    health: Health
    version: str = ""
    where: str = ""
    needed: str = ""
    remedy: str = ""


def doctor_text(findings: Sequence[Finding]) -> tuple[Line, ...]:
    """The table, then what to do about each thing that is missing or wrong."""
    bad = [finding for finding in findings if not finding.health.is_good()]
    return (*table(HEADINGS, [_row(finding) for finding in findings]), line(), *_verdict(bad))


def doctor_plain(findings: Sequence[Finding]) -> dict[str, Any]:
    """The same findings as JSON-able data."""
    return {"ok": all(f.health.is_good() for f in findings), "findings": [to_plain(f) for f in findings]}


def _row(finding: Finding) -> list[Piece]:
    style = Style.GOOD if finding.health.is_good() else Style.BAD
    return [
        piece(finding.name, Style.TITLE),
        piece(finding.health.value, style),
        piece(finding.version or _NOTHING),
        piece(finding.where or _NOTHING),
    ]


def _verdict(bad: Sequence[Finding]) -> Iterator[Line]:
    if not bad:
        yield line(piece("everything that is needed is here", Style.GOOD))
    for finding in bad:
        yield line(piece(finding.name, Style.TITLE), f": {finding.health.value}; needed: {finding.needed}")
        yield line(f"  {finding.remedy}")
