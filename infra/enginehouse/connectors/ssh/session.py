"""One script on a machine: its bytes over a channel, all streams at once, in one thread."""

from __future__ import annotations

import contextlib
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator

import paramiko

from enginehouse.connectors.base import Result
from enginehouse.connectors.output import Lines, Tail
from enginehouse.connectors.ssh.command import pack
from enginehouse.connectors.ssh.link import BROKEN, await_output
from enginehouse.connectors.ssh.marked import Marked
from enginehouse.connectors.ssh.sudo import Sudo
from enginehouse.errors import Unreachable

READ_BYTES = 64 * 2**10
SEND_BYTES = 32 * 2**10
"""What paramiko puts into one packet."""
TICK_S = 0.1
"""How often the deadline and the wish to stop are looked at while nothing moves."""
FEED_S = 0.02
"""How long a full window is waited for before outputs are looked at again."""
STATUS_S = 2.0
"""How long after the end of its output a command's exit code may come."""
STUCK_S = 2.0
"""How long after its deadline a script may go on with a write that does not end."""
BROKE_OFF = "the connection broke off"
KILLED = 137
"""The code of a script whose shell was killed, as a shell would say it (128 + SIGKILL)."""


@contextlib.contextmanager
def after(seconds: float, ends: Callable[[], object]) -> Iterator[None]:
    """Call `ends`, in another thread, if the block lasts longer: paramiko starts and writes without a timeout."""
    timer = threading.Timer(max(0.0, seconds), ends)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


class Session:
    """`check` is called between moves and ends it by raising, at the latest when `run` lasts `within_s`.

    `about` says whose words a failed start is told in; `sudo` is passed before anything of the script is sent.
    """

    def __init__(
        self,
        channel: paramiko.Channel,
        command: str,
        script: str,
        stdin: Iterable[bytes] = (),
        *,
        about: Callable[[str], str],
        check: Callable[[], None],
        within_s: float,
        on_line: Callable[[str], None] | None = None,
        keep_stdin_open: bool = False,
        sudo: Sudo | None = None,
    ) -> None:
        self._sudo = sudo
        self._channel = channel
        self._command = command
        self._about = about
        self._check = check
        self._within_s = within_s
        self._sending = False
        self._chunks = iter(stdin)
        self._keep_stdin_open = keep_stdin_open
        self._feeding = True
        self._lines = Lines(on_line) if on_line else None
        self._out_tail, self._err_tail = Tail(), Tail()
        sent = pack(script, secrets.token_hex(16))
        self._pending = memoryview(sent.head)
        self._out, self._err = Marked(sent.mark, self._take_out), Marked(sent.mark, self._err_tail.add)

    @property
    def group(self) -> int | None:
        """The process group on the machine; None before it has told."""
        return int(self._out.begun) if self._out.begun else None

    @property
    def ended(self) -> bool:
        return self._out.ended is not None and self._err.ended is not None

    def transport(self) -> paramiko.Transport:
        return self._channel.get_transport()

    def wait_for_group(self, timeout_s: float) -> int | None:
        """The process group, waited for: a script that has just begun must not be taken for one that never did."""
        until = time.monotonic() + timeout_s
        with contextlib.suppress(Unreachable):
            while self.group is None and not self._is_over() and time.monotonic() < until:
                if not self._drain():
                    await_output(self._channel, FEED_S)
        return self.group

    def tail(self, lines: int) -> tuple[str, ...]:
        """The last lines of both streams so far."""
        return tuple([*self._out_tail.text().splitlines(), *self._err_tail.text().splitlines()][-lines:])

    def run(self) -> Result:
        """Serve the script until it ends. Raises `Unreachable` if it can't start or the connection breaks."""
        if self._sudo:
            self._sudo.let_in(self._channel, self._start, self._check)
        else:
            self._start()
        with after(self._within_s + STUCK_S, self._cut_if_stuck):
            while not self.ended and not self._is_over():
                self._check()
                if not self._drain():
                    self._feed() if self._feeding else await_output(self._channel, TICK_S)
        return self._result()

    def send(self, data: bytes) -> None:
        """Give a script whose stdin was kept open some of it."""
        with contextlib.suppress(*BROKEN):
            self._channel.settimeout(TICK_S * 10)
            self._channel.sendall(data)

    def end_stdin(self) -> None:
        with contextlib.suppress(*BROKEN):
            self._channel.shutdown_write()

    def abandon(self) -> None:
        """Close the channel; whoever is in `run` comes back."""
        self._channel.close()

    def _start(self) -> None:
        try:
            with after(self._within_s, self._channel.close):
                self._channel.exec_command(self._command)
        except BROKEN:
            raise self._broke_off() from None

    def _is_over(self) -> bool:
        """Whether nothing more will come, marks or not."""
        over = self._channel.closed or self._channel.eof_received
        return over and not self._channel.recv_ready() and not self._channel.recv_stderr_ready()

    def _drain(self) -> bool:
        """Take what has come; whether anything had."""
        moved = False
        if self._channel.recv_ready():
            self._out.add(self._taken(self._channel.recv))
            moved = True
        if self._channel.recv_stderr_ready():
            self._err.add(self._taken(self._channel.recv_stderr))
            moved = True
        return moved

    def _taken(self, recv: Callable[[int], bytes]) -> bytes:
        """What has come; taking it also tells the machine that it may send more."""
        try:
            return recv(READ_BYTES)
        except BROKEN:
            raise self._broke_off() from None

    def _feed(self) -> None:
        """Send what the window takes, and get the next chunk at once: we know of the end before the script does."""
        self._channel.settimeout(FEED_S)
        self._sending = True
        try:
            sent = self._channel.send(bytes(self._pending[:SEND_BYTES]))
        except socket.timeout:  # noqa: UP041 - paramiko's word for a full window
            return
        except BROKEN:
            if not self._channel.closed:
                raise self._broke_off() from None
            self._feeding = False  # the script needs no more; its exit code says whether that is well
            return
        finally:
            self._sending = False
        self._pending = self._pending[sent:]
        if not self._pending and not self._next_chunk():
            self._feeding = False
            if not self._keep_stdin_open:
                with contextlib.suppress(*BROKEN):
                    self._channel.shutdown_write()

    def _next_chunk(self) -> bool:
        """Make the next chunk that has bytes the pending one; False if there is none."""
        chunk = next(filter(None, self._chunks), b"")
        self._pending = memoryview(chunk)
        return bool(chunk)

    def _take_out(self, data: bytes) -> None:
        self._out_tail.add(data)
        if self._lines:
            self._lines.add(data)

    def _result(self) -> Result:
        if self._out.begun is None:
            raise self._not_begun()
        if not self.ended:
            if not self._channel.eof_received:
                raise self._broke_off()
            self._out.finish()
            self._err.finish()
        if self._lines:
            self._lines.end()
        code = int(self._out.ended) if self._out.ended else KILLED
        return Result(returncode=code, stdout=self._out_tail.text(), stderr=self._err_tail.text())

    def _broke_off(self) -> Exception:
        """What to raise when the channel ended and the machine did not say so. Raises itself if `check` knows why.

        A connection that breaks closes its channels before it is seen to be inactive, so it is not asked.
        """
        self._check()
        return Unreachable(self._about(BROKE_OFF))

    def _cut_if_stuck(self) -> None:
        if self._sending:
            self.transport().close()

    def _not_begun(self) -> Exception:
        if not self._channel.eof_received:
            return self._broke_off()
        said = [line for line in f"{self._err.before}\n{self._out.before}".splitlines() if line.strip()]
        code = self._channel.exit_status if self._channel.status_event.wait(STATUS_S) else "none"
        words = f'it said "{said[0].strip()[:200]}"' if said else "it said nothing"
        return Unreachable(self._about(f"no shell started: {words} and ended (code {code})"))
