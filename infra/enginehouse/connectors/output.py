"""What is kept of a script's output, and how it becomes lines. Bounded: a script may print for days."""

from __future__ import annotations

from collections.abc import Callable

KEPT_BYTES = 4 * 2**20
"""How much of each stream is kept: the end. Far more than any probe answers; a chatty build must not fill memory."""

LONGEST_LINE = 64 * 2**10
"""Bytes after which a line that has not ended is handed on in pieces."""


class Tail:
    """The last `limit` bytes of a stream; never holds more than twice as much."""

    def __init__(self, limit: int = KEPT_BYTES) -> None:
        self._limit = limit
        self._kept = bytearray()
        self._dropped = 0

    def add(self, chunk: bytes) -> None:
        self._kept += chunk
        if len(self._kept) > 2 * self._limit:
            self._trim()

    def text(self) -> str:
        """What is kept, decoded with replacement; a first line says how much is missing, if any is."""
        if len(self._kept) > self._limit:
            self._trim()
        note = f"[the first {self._dropped} bytes are left out]\n" if self._dropped else ""
        return note + self._kept.decode("utf-8", "replace")

    def _trim(self) -> None:
        surplus = len(self._kept) - self._limit
        del self._kept[:surplus]
        self._dropped += surplus


class Lines:
    """Cuts a byte stream into lines and hands each to `receive`, decoded with replacement and without its newline."""

    def __init__(self, receive: Callable[[str], None]) -> None:
        self._receive = receive
        self._rest = b""

    def add(self, chunk: bytes) -> None:
        *whole, self._rest = (self._rest + chunk).split(b"\n")
        for line in whole:
            self._hand_on(line)
        if len(self._rest) >= LONGEST_LINE:
            self.end()

    def end(self) -> None:
        """Hand on what has come of a line without a newline."""
        if self._rest:
            self._hand_on(self._rest)
            self._rest = b""

    def _hand_on(self, line: bytes) -> None:
        self._receive(line.decode("utf-8", "replace"))
