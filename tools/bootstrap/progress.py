"""Tells the user what is going on: one line per step, one updating line on a terminal, a line per 10 % elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

INDENT = "    "


class Progress:
    """Writes to one stream; `live` means that lines may be overwritten."""

    def __init__(self, stream: TextIO | None = None, *, live: bool | None = None) -> None:
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty() if live is None else live
        self._open_line = False
        self._last_tenth = -1

    @contextmanager
    def step(self, title: str, *, why: str = "") -> Iterator[None]:
        """Announce a step, with the reason why it is not instant, and report how long it took."""
        self._last_tenth = -1
        self.line(f"==> {title}")
        if why:
            self.line(f"{INDENT}{why}")
        started = time.monotonic()
        yield
        self.line(f"{INDENT}done in {time.monotonic() - started:.0f} s")

    def count(self, done: int, total: int, what: str = "") -> None:
        """Show that `done` of `total` pieces are finished."""
        percent = 100 * done // max(total, 1)
        text = f"{INDENT}[{done}/{total}] {percent:3d} % {what}".rstrip()
        if self._live:
            self._stream.write(f"\r\033[K{text[:100]}")
            self._stream.flush()
            self._open_line = True
        elif percent // 10 > self._last_tenth:
            self._last_tenth = percent // 10
            self.line(text)

    def note(self, text: str) -> None:
        """One line that belongs to the current step."""
        self.line(f"{INDENT}{text}")

    def line(self, text: str) -> None:
        """One full line; an unfinished updating line is cleared first."""
        self._stream.write(("\r\033[K" if self._open_line else "") + text + "\n")
        self._stream.flush()
        self._open_line = False
