"""Who works on machines, and by which clock."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One call of one of our doors: what leases and manifests are signed with."""

    id: str
    who: str
    """Person and machine, such as `ada@desk`."""
    door: str
    """`pulumi` or the verb of the command line."""


class Clock(Protocol):
    """The only source of time in converge."""

    def now(self) -> datetime:
        """Wall clock, aware, UTC. For people; never for deadlines."""
        ...

    def monotonic(self) -> float:
        """Seconds that never jump. For deadlines."""
        ...

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait at most `seconds` for `event`; whether it is set."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def wait(self, event: threading.Event, seconds: float) -> bool:
        return event.wait(seconds)
