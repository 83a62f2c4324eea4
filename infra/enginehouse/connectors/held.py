"""A child process that is kept: started, heard once, and let go when its holder says so."""

from __future__ import annotations

import contextlib
import threading

from enginehouse.connectors.base import Pulse, Result
from enginehouse.connectors.exchange import Exchange
from enginehouse.connectors.process import GRACE_S, Process


class LocalHeld:
    """See `connectors.base.Held`. A thread takes what the script prints later, so that it never blocks on us.

    The script's stdin is a pipe whose other end only this process has: a process that dies closes it. (A child made by
    a bare `fork` has it too; `subprocess` closes it.)
    """

    def __init__(self, process: Process, head: bytes) -> None:
        self.first_line = ""
        self.result: Result | None = None
        """What the script left; None while it runs."""
        self._process = process
        self._spoke = False
        self._exchange = Exchange(process, (head,), check=Pulse(self._say), on_line=self._hear, keep_stdin_open=True)
        self._spoke_or_ended = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._serve, name="held script", daemon=True)
        self._thread.start()

    def spoke(self, timeout_s: float) -> bool:
        """Wait for the first line; False if the script ended without one or `timeout_s` went by."""
        self._spoke_or_ended.wait(timeout_s)
        return self._spoke

    def alive(self) -> bool:
        return self._process.code() is None

    def release(self) -> None:
        self._say(b"\n")
        with self._lock:
            self._process.stdin.close()
        self._thread.join(GRACE_S)
        if self._thread.is_alive():
            self._process.stop()
            self._thread.join(GRACE_S)

    def _say(self, line: bytes) -> None:
        with self._lock, contextlib.suppress(BrokenPipeError):
            if not self._process.stdin.closed:
                self._process.stdin.write(line)

    def _hear(self, line: str) -> None:
        if not self._spoke:
            self.first_line, self._spoke = line, True
            self._spoke_or_ended.set()

    def _serve(self) -> None:
        self.result = self._exchange.run()
        with self._lock:
            self._process.close()
        self._spoke_or_ended.set()
