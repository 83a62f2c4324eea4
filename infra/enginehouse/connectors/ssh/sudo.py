"""The way through `sudo` with a password: it is sent when sudo asks, once, and nothing else before sudo has let us in.

What follows a password on stdin would be taken for the next try if it is wrong: the script would be read by sudo, and
one mistake would count as three, which may lock the user out. So the machine says when it is our turn.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

import paramiko

from enginehouse.connectors.ssh.command import SUDO_ASKS, SUDO_READY
from enginehouse.connectors.ssh.link import BROKEN, await_output
from enginehouse.errors import EnginehouseError, Unreachable
from enginehouse.render.symbols import Secret

LET_IN_S = 30.0
"""From the start to being let in. PAM waits some seconds after a wrong password, and a slow directory takes a few."""
TICK_S = 0.1
READ_BYTES = 64 * 2**10
_LINE_ENDS = "\r\n\0"


class Sudo:
    """The way through sudo on one machine, for all scripts there. `secret` is the name of the password.

    Until sudo has taken the password, one script after the other tries; what it did not take is never sent again.
    """

    def __init__(self, host: str, user: str, secret: str, password: Secret) -> None:
        self._host = host
        self._user = user
        self._secret = secret
        self._password = password
        self._turn = threading.Lock()
        self._taken = False
        self._refused_for = ""
        """Why it is not sent again; empty if it may be."""

    def let_in(self, channel: paramiko.Channel, start: Callable[[], None], check: Callable[[], None]) -> None:
        """`start` sudo, and return when what follows on stdin is the script's.

        `check` is called between moves and ends it by raising. Raises `Unreachable` with what sudo says, and closes the
        channel then, which ends sudo; one that has not taken the password before is not started.
        """
        with self._turn_of(check):
            start()
            try:
                self._pass_through(channel, check)
            except BROKEN as error:
                channel.close()
                raise self._broke_off() from error
            except EnginehouseError:
                channel.close()
                raise

    @contextlib.contextmanager
    def _turn_of(self, check: Callable[[], None]) -> Iterator[None]:
        while not self._turn.acquire(timeout=TICK_S):
            check()
        with contextlib.ExitStack() as mine:
            mine.callback(self._turn.release)
            if self._refused_for:
                raise Unreachable(self._refused_for)
            if self._taken:
                mine.close()
            yield
            self._taken = True

    def _pass_through(self, channel: paramiko.Channel, check: Callable[[], None]) -> None:
        out = err = b""
        asked = 0
        until = time.monotonic() + LET_IN_S
        while SUDO_READY not in out:
            check()
            if channel.recv_ready() and (data := channel.recv(READ_BYTES)):
                out += data
            elif channel.recv_stderr_ready() and (data := channel.recv_stderr(READ_BYTES)):
                err += data
            elif channel.closed or channel.eof_received:
                raise self._ended(channel, out, err)
            elif time.monotonic() >= until:
                raise self._refused(f"sudo asks for something else than a password{self._said(out, err)}")
            else:
                await_output(channel, TICK_S)
            if err.count(SUDO_ASKS) > asked:
                asked += 1
                if asked > 1:
                    raise self._not_taken()
                channel.sendall(self._line())

    def _line(self) -> bytes:
        password = self._password.reveal().rstrip(_LINE_ENDS)
        if not password or any(sign in password for sign in _LINE_ENDS):
            raise self._refused(f"the secret {self._secret!r} is no password: it is empty or has several lines")
        return f"{password}\n".encode()

    def _not_taken(self) -> Unreachable:
        error = self._refused(f"sudo does not take the password that the secret {self._secret!r} has")
        self._refused_for = str(error)
        return error

    def _ended(self, channel: paramiko.Channel, out: bytes, err: bytes) -> Unreachable:
        if not channel.eof_received:
            return self._broke_off()
        return self._refused(f"sudo did not let {self._user} in{self._said(out, err)}")

    def _broke_off(self) -> Unreachable:
        return Unreachable(f"{self._host}: the connection broke off")

    def _refused(self, what: str) -> Unreachable:
        return Unreachable(
            f"{self._host}: {what}; `become: sudo` needs a line such as `{self._user} ALL=(ALL) ALL` in a file of "
            "/etc/sudoers.d, without `requiretty`, and the password of that user"
        )

    def _said(self, out: bytes, err: bytes) -> str:
        """The last line of both streams: a profile and sudo's lecture come before it."""
        text = (err.replace(SUDO_ASKS, b"") + b"\n" + out).decode("utf-8", "replace")
        lines = [line.strip() for line in text.replace(self._password.reveal(), "…").splitlines() if line.strip()]
        return f': it said "{lines[-1][:200]}"' if lines else ", and said nothing"
