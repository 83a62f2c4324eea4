"""A machine that is reached through a command: what `ProxyCommand` in OpenSSH's configuration names."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import threading
import time
from collections import deque

END_S = 1.0
"""From asking the command to end to making it, and from its hanging up to its exit code."""
_LOOK_S = 0.02
_LINES = 5
"""What is kept of what it says on stderr: a command may live for hours, and say much."""


class Proxied(socket.socket):
    """Our end of the stdin and stdout of a command that leads to a machine. Closing it ends all that the command is.

    A pair of sockets, not pipes: so deadlines, and waiting for bytes, are those of any connection.
    """

    def __init__(self, command: str) -> None:
        """As OpenSSH does: the person's shell becomes the command. Raises `OSError` if there is no such shell."""
        ours, its = socket.socketpair()
        super().__init__(fileno=ours.detach())
        self.ended = ""
        """Once it is closed: how the command ended by itself, and its last words."""
        self._closing = threading.Lock()
        self._said: deque[bytes] = deque(maxlen=_LINES)
        try:
            # A session of its own: Ctrl-C is a wish that things are put back, which needs the connection.
            self._process = subprocess.Popen(
                (os.environ.get("SHELL") or "/bin/sh", "-c", f"exec {command}"),
                stdin=its.fileno(),
                stdout=its.fileno(),
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except BaseException:
            super().close()
            raise
        finally:
            its.close()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def close(self) -> None:
        with self._closing:
            if self._process.returncode is not None:
                return
            if self.fileno() >= 0 and self._hung_up() and self._has_ended():
                self._tell(signal.SIGKILL)  # what it started holds its stderr open
                self.ended = self._ending(self._process.wait())
            super().close()
            self._end()

    def _end(self) -> None:
        if self._process.returncode is None:
            self._tell(signal.SIGTERM)
            self._has_ended()
            self._tell(signal.SIGKILL)
            self._process.wait()

    def _tell(self, number: int) -> None:
        """The whole group. Its leader is not reaped yet, so the number means nobody else."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def _hung_up(self) -> bool:
        poll = select.poll()
        poll.register(self.fileno(), 0)
        return any(event & select.POLLHUP for _, event in poll.poll(0))

    def _has_ended(self) -> bool:
        """Whether it ends within `END_S`. It is not reaped."""
        until = time.monotonic() + END_S
        while os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            if time.monotonic() >= until:
                return False
            time.sleep(_LOOK_S)
        return True

    def _ending(self, code: int) -> str:
        self._listener.join(END_S)
        said = [text for line in self._said if (text := line.decode(errors="replace").strip())]
        how = f"ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
        return ": ".join((how, *said[-1:]))

    def _listen(self) -> None:
        assert self._process.stderr
        with self._process.stderr as stderr:
            for line in stderr:
                self._said.append(line)
