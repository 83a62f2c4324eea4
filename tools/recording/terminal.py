"""A terminal without a window: runs a program in a pseudo-terminal and keeps every screen it showed, with its time."""

from __future__ import annotations

import os
import pty
import select
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fcntl import ioctl
from pathlib import Path
from termios import TIOCSWINSZ

import pyte

COLUMNS, ROWS = 118, 30
SETTLE_S = 0.04
"""Output that comes in pieces within this time is one picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Neighbouring letters that look alike."""

    text: str
    color: str
    bold: bool


Line = tuple[Run, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A screen, and the second at which it appeared."""

    at: float
    lines: tuple[Line, ...]


class Terminal:
    """A shell in a terminal of `COLUMNS` x `ROWS`, seen from outside."""

    def __init__(self, argv: tuple[str, ...], environment: Mapping[str, str], folder: Path) -> None:
        self._screen = _Screen(self.send)
        self._stream = pyte.ByteStream(self._screen)
        self._began = time.monotonic()
        self.frames: list[Frame] = []
        self.seen = b""
        pid, self._fd = pty.fork()
        if pid == 0:
            os.chdir(folder)
            os.execvpe(argv[0], argv, dict(environment))
        ioctl(self._fd, TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))

    def send(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def wait_for(self, text: bytes, within_s: float) -> None:
        """Show what comes until `text` has come; what came before this call does not count."""
        start, until = len(self.seen), time.monotonic() + within_s
        while text not in self.seen[start:]:
            if time.monotonic() > until or not self.watch(0.5):
                raise TimeoutError(f"{text!r} did not appear; the end was {self.seen[-2000:].decode(errors='replace')}")

    def watch(self, seconds: float) -> bool:
        """Show what comes within `seconds`; False when the program has ended."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if not select.select([self._fd], [], [], min(left, SETTLE_S))[0]:
                self._picture()
                continue
            try:
                data = os.read(self._fd, 65536)
            except OSError:
                return False
            self.seen += data
            self._stream.feed(data)
        self._picture()
        return True

    def _picture(self) -> None:
        lines = tuple(_line(self._screen, row) for row in range(ROWS))
        if not self.frames or self.frames[-1].lines != lines:
            self.frames.append(Frame(at=time.monotonic() - self._began, lines=lines))


class _Screen(pyte.Screen):
    """Answers programs that ask a terminal where its cursor is; they wait for seconds if nobody does."""

    def __init__(self, answer: Callable[[str], None]) -> None:
        self._answer = answer
        super().__init__(COLUMNS, ROWS)

    def write_process_input(self, data: str) -> None:
        self._answer(data)


def _line(screen: pyte.Screen, row: int) -> Line:
    """The row without the blanks at its end, cut into runs."""
    cells = [screen.buffer[row][column] for column in range(COLUMNS)]
    while cells and cells[-1].data == " ":
        cells.pop()
    runs: list[Run] = []
    for cell in cells:
        if runs and (runs[-1].color, runs[-1].bold) == (cell.fg, cell.bold):
            runs[-1] = Run(text=runs[-1].text + cell.data, color=cell.fg, bold=cell.bold)
        else:
            runs.append(Run(text=cell.data, color=cell.fg, bold=cell.bold))
    return tuple(runs)
