"""How a machine is talked to: run a script on it, dial an address that only it can reach."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from enginehouse.errors import CommandFailed

TAIL_LINES = 20
"""How many last output lines a failed command keeps: enough for a cause, little enough to read."""
ALIVE = b"alive\n"
"""What a holder says to its script again and again, and how often; a line of its own."""
ALIVE_EVERY_S = 10.0
SILENT = 124
"""Exit code of a held script whose holder said nothing for too long, as `timeout` has it (coreutils)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a script on a machine left: exit code and both streams, decoded with replacement."""

    returncode: int
    stdout: str
    stderr: str

    def check(self, title: str) -> Result:
        """Itself if the code is 0, else `CommandFailed` with the last lines of both streams."""
        if self.returncode == 0:
            return self
        lines = [*self.stdout.splitlines(), *self.stderr.splitlines()]
        raise CommandFailed(title, self.returncode, lines[-TAIL_LINES:])


class Connector(Protocol):
    """One machine. Implementations are safe to use from several threads at once."""

    @property
    def host(self) -> str:
        """The host's name in the stack, for messages."""
        ...

    def run(
        self,
        script: str,
        *,
        stdin: Iterable[bytes] = (),
        deadline_s: float,
        on_line: Callable[[str], None] | None = None,
    ) -> Result:
        """Run `script` with the machine's POSIX `sh` and return when it ends.

        The script is never part of an argument list (process lists are public); it and then the chunks of `stdin`
        travel on one stream. `on_line` gets every stdout line as it comes; it may be called from another thread, and
        what it raises ends the script.
        Raises `DeadlineExceeded` (the script is killed with its children), `Unreachable`, and `Cancelled` after
        `close`. A non-zero code is a result.
        """
        ...

    def dial(self, address: str, *, deadline_s: float) -> socket.socket:
        """Connect from the machine's own point of view to `tcp:HOST:PORT` or `unix:PATH`.

        The socket has `deadline_s` as its timeout. Raises `Unreachable` when nothing listens, and
        `NotForwarded` when the machine leads nobody there.
        """
        ...

    def hold(self, script: str, *, deadline_s: float) -> Held:
        """Start `script`, wait until it prints its first line, and keep it until `release`.

        The script's stdin stays open for that long, so it ends by itself when this process dies or the link drops. It
        gets `ALIVE` every `ALIVE_EVERY_S`: a holder can also be gone without a word, behind a cable that was pulled. A
        script that ends with `SILENT` for that reason takes the link with it, and so whatever else it left there.
        """
        ...

    def close(self) -> None:
        """End whatever is open; idempotent."""
        ...


class Held(Protocol):
    """A script that lives as long as this process wants it to, such as the keeper of a lease."""

    first_line: str

    def alive(self) -> bool: ...

    def release(self) -> None:
        """Send an empty line, close its stdin and wait for its end; idempotent.

        A script whose stdin ends without that line knows that its holder died.
        """
        ...


class Pulse:
    """Says `ALIVE` when it is due; to be called again and again by whoever serves a held script."""

    def __init__(self, say: Callable[[bytes], None]) -> None:
        self._say = say
        self._said = time.monotonic()

    def __call__(self) -> None:
        if time.monotonic() - self._said >= ALIVE_EVERY_S:
            self._said = time.monotonic()
            self._say(ALIVE)
