"""Moves bytes between this process and a child until the child ends: stdin and both outputs at once, in one thread."""

from __future__ import annotations

import os
import selectors
from collections.abc import Callable, Iterable
from typing import IO

from enginehouse.connectors.base import Result
from enginehouse.connectors.output import Lines, Tail
from enginehouse.connectors.process import Process

READ_BYTES = 64 * 2**10
"""What a Linux pipe holds (pipe(7))."""

LARGEST_PIPE_BYTES = 2**20
"""How much may still lie in a pipe when its writer has ended (/proc/sys/fs/pipe-max-size)."""

TICK_S = 0.1
"""How often the deadline and the wish to stop are looked at while nothing moves."""


class Exchange:
    """One script's traffic. `check` is called between moves and ends it by raising."""

    def __init__(
        self,
        process: Process,
        stdin: Iterable[bytes],
        *,
        check: Callable[[], None],
        on_line: Callable[[str], None] | None = None,
        keep_stdin_open: bool = False,
    ) -> None:
        self._process = process
        self._chunks = iter(stdin)
        self._pending = memoryview(b"")
        self._check = check
        self._keep_stdin_open = keep_stdin_open
        self._lines = Lines(on_line) if on_line else None
        self._out, self._err = Tail(), Tail()
        self._selector = selectors.DefaultSelector()

    def run(self) -> Result:
        """Serve the child until it ends. A daemon it leaves behind may still hold its pipes; that is not waited for."""
        with self._selector:
            self._selector.register(self._process.stdin, selectors.EVENT_WRITE, self._feed)
            self._selector.register(self._process.stdout, selectors.EVENT_READ, self._take_out)
            self._selector.register(self._process.stderr, selectors.EVENT_READ, self._take_err)
            while (code := self._process.code()) is None:
                self._check()
                self._serve()
            self._drain()
        return Result(returncode=code, stdout=self._out.text(), stderr=self._err.text())

    def tail(self, lines: int) -> tuple[str, ...]:
        """The last lines of both streams so far."""
        return tuple([*self._out.text().splitlines(), *self._err.text().splitlines()][-lines:])

    def _serve(self) -> None:
        if not self._selector.get_map():
            self._process.wait(TICK_S)
            return
        for key, _ in self._selector.select(TICK_S):
            key.data()

    def _feed(self) -> None:
        """Write what the pipe takes, and get the next chunk at once: we know of the end before the script does."""
        try:
            self._pending = self._pending[os.write(self._process.stdin.fileno(), self._pending) :]
        except BlockingIOError:
            return
        except BrokenPipeError:  # the script needs no more; its exit code says whether that is well
            self._end_stdin()
            return
        if not self._pending and not self._next_chunk():
            self._end_stdin()

    def _next_chunk(self) -> bool:
        """Make the next chunk that has bytes the pending one; False if there is none."""
        chunk = next(filter(None, self._chunks), b"")
        self._pending = memoryview(chunk)
        return bool(chunk)

    def _end_stdin(self) -> None:
        self._selector.unregister(self._process.stdin)
        if not self._keep_stdin_open:
            self._process.stdin.close()

    def _take_out(self) -> int:
        chunk = self._read(self._process.stdout)
        self._out.add(chunk)
        if self._lines:
            self._lines.add(chunk)
        return len(chunk)

    def _take_err(self) -> int:
        chunk = self._read(self._process.stderr)
        self._err.add(chunk)
        return len(chunk)

    def _read(self, pipe: IO[bytes]) -> bytes:
        """What has come; empty, and the pipe is no longer watched, at its end."""
        try:
            chunk = os.read(pipe.fileno(), READ_BYTES)
        except BlockingIOError:
            return b""
        if not chunk:
            self._selector.unregister(pipe)
        return chunk

    def _drain(self) -> None:
        """Take what still lies in the pipes, without waiting for anybody who keeps them open."""
        for take in [key.data for key in self._selector.get_map().values() if key.events & selectors.EVENT_READ]:
            taken = 0
            while taken < LARGEST_PIPE_BYTES and (count := take()):
                taken += count
        if self._lines:
            self._lines.end()
