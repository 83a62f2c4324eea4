"""The clock of a simulated machine and of those who work on it: time passes only where somebody waits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

BEGIN = datetime(2026, 11, 24, 12, tzinfo=UTC)
BEAT_S = 1.0
"""How often supervisord looks for ended programs and HAProxy checks its servers."""


class Clock:
    """See `converge.run.Clock`. `beat` is called for each whole second that passes, `passed` after any wait."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.beat: Callable[[], None] = lambda: None
        self.passed: Callable[[], None] = lambda: None

    def now(self) -> datetime:
        return BEGIN + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self.advance(seconds)
        return event.is_set()

    def advance(self, seconds: float) -> None:
        until = self.seconds + seconds
        self.passed()
        while (whole := (self.seconds // BEAT_S + 1) * BEAT_S) <= until:
            self.seconds = whole
            self.beat()
        self.seconds = until
        self.passed()
