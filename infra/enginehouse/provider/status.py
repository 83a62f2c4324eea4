"""What converge tells while it works, as lines in the rows of `pulumi up`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

from enginehouse.converge.events import Event, Listener, Notice

BURST = 5
"""Lines a resource may show at once: a few quick steps in a row are all worth reading."""
LINES_PER_S = 5.0
"""Lines after that. More can't be read on a terminal, and without a terminal each one is a line of a log file."""


class Log(Protocol):
    def __call__(self, urn: str, text: str, *, passing: bool) -> None:
        """Show `text` in the resource's row; the next one replaces a passing one, another is kept under the update."""
        ...


class StatusLine:
    """One resource's listener: progress is passed on at a bearable rate, notices always. Safe to call from threads."""

    def __init__(self, urn: str, log: Log, now: Callable[[], float] = time.monotonic) -> None:
        self._urn = urn
        self._log = log
        self._now = now
        self._lock = threading.Lock()
        self._allowance = float(BURST)
        self._filled_at = now()
        self._last = ""

    def __call__(self, event: Event) -> None:
        if isinstance(event, Notice):
            self._log(self._urn, event.text, passing=False)
        elif self._worth_showing(event.text):
            self._log(self._urn, event.text, passing=True)

    def _worth_showing(self, text: str) -> bool:
        with self._lock:
            now = self._now()
            self._allowance = min(BURST, self._allowance + (now - self._filled_at) * LINES_PER_S)
            self._filled_at = now
            if text == self._last or self._allowance < 1:
                return False
            self._allowance -= 1
            self._last = text
            return True


def listener(log: Log) -> Callable[[str], Listener]:
    """From a resource's URN to its listener."""
    return lambda urn: StatusLine(urn, log)
