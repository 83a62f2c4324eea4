"""HAProxy's statistics as values. The stats page (`/stats;csv`) and the runtime socket (`show stat`) give the same CSV.

Columns are found by name: HAProxy appends new ones in new versions.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from enginehouse.planner.addresses import host_and_port

WEIGHT = 1
"""Of a server line that says nothing about it, as ours do (HAProxy 2.8 configuration manual, `weight`)."""
_TOTALS = ("FRONTEND", "BACKEND")
_SUCCESSOR = "successor"
"""The backend that leads from a replaced worker to the one that replaced it: HAProxy itself, and no engine."""
_CHECKS_PASSED = re.compile(r" \d+/\d+$")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerRow:
    """One server line. `status` is HAProxy's word (`UP`, `DOWN`, `MAINT`, `DRAIN`) without its count (`UP 1/2`)."""

    backend: str
    server: str
    status: str
    sessions: int
    """Requests the server works on right now."""
    queued: int
    check: str
    """Result of the last health check, such as `L7OK` or `L4CON`; `INI` or empty before the first."""
    since_s: int
    """Seconds since the status last changed."""
    weight: int = WEIGHT
    """Its share of the requests beside the other servers'; meaningful while the status is `UP`."""
    port: int = 0
    """Where its engine listens; 0 from a gateway that does not tell (`stats show-legends`)."""
    address: str = ""
    """The address of that port; empty from the same."""

    @property
    def where(self) -> str:
        """Address and port, as far as they are known."""
        return host_and_port(self.address, self.port) if self.address else f"port {self.port}"

    def is_usable(self) -> bool:
        """Whether it takes requests. Each one is checked; `no check` says that `RuntimeSocket.pause` paused it."""
        return self.status == "UP"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendRow:
    """The total of one backend. Requests wait here, not at a server; `sessions` counts those that wait, too."""

    backend: str
    sessions: int
    queued: int


def parse_stats(text: str) -> tuple[ServerRow, ...]:
    """The servers with an engine behind them, in HAProxy's order."""
    return tuple(_server(row) for row in _rows(text) if row["svname"] not in _TOTALS and row["pxname"] != _SUCCESSOR)


def parse_backends(text: str) -> tuple[BackendRow, ...]:
    """The backends' totals in the text, in HAProxy's order; also of backends without servers."""
    return tuple(
        BackendRow(backend=row["pxname"], sessions=_number(row["scur"]), queued=_number(row["qcur"]))
        for row in _rows(text)
        if row["svname"] == "BACKEND"
    )


def _rows(text: str) -> Iterator[Mapping[str, str]]:
    return csv.DictReader(text.removeprefix("# ").strip().splitlines())


def _server(row: Mapping[str, str]) -> ServerRow:
    return ServerRow(
        backend=row["pxname"],
        server=row["svname"],
        status=_CHECKS_PASSED.sub("", row["status"]),
        sessions=_number(row["scur"]),
        queued=_number(row["qcur"]),
        check=row["check_status"].removeprefix("* "),
        since_s=_number(row["lastchg"]),
        weight=_number(row["weight"]),
        port=_number(row.get("addr", "").rpartition(":")[2]),
        address=row.get("addr", "").rpartition(":")[0].strip("[]"),
    )


def _number(text: str) -> int:
    return int(text) if text else 0
