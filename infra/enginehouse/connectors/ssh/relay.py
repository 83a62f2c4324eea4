"""A channel as a real socket: two threads carry the bytes, so that everything that knows sockets works."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Callable

import paramiko

from enginehouse.connectors.ssh.link import BROKEN

READ_BYTES = 64 * 2**10


def as_socket(
    channel: paramiko.Channel,
    *,
    timeout_s: float,
    received: Callable[[bytes], bytes] = bytes,
    over: Callable[[], bool] = lambda: False,
    closed: Callable[[], None] = lambda: None,
) -> socket.socket:
    """A socket whose other end is `channel`, closed with it; `closed` is told.

    `received` filters what comes, and `over` says whether that was all, before the channel itself ends.
    """
    ours, theirs = socket.socketpair()
    ours.settimeout(timeout_s)
    channel.settimeout(None)

    def up() -> None:
        with contextlib.suppress(*BROKEN):
            while data := theirs.recv(READ_BYTES):
                channel.sendall(data)
            if not _is_gone(theirs):
                channel.shutdown_write()
                return
        with contextlib.suppress(*BROKEN):
            channel.close()

    def down() -> None:
        with contextlib.suppress(*BROKEN):
            while not over() and (data := channel.recv(READ_BYTES)):
                theirs.sendall(received(data))
        with contextlib.suppress(OSError):
            theirs.shutdown(socket.SHUT_WR)
        sender.join()
        with contextlib.suppress(*BROKEN):
            channel.close()
        theirs.close()
        closed()

    sender = threading.Thread(target=up, name="to the machine", daemon=True)
    sender.start()
    threading.Thread(target=down, name="from the machine", daemon=True).start()
    return ours


def _is_gone(theirs: socket.socket) -> bool:
    """Whether the other end is closed, and not only done with sending."""
    poll = select.poll()
    poll.register(theirs, select.POLLHUP)
    return any(event & select.POLLHUP for _, event in poll.poll(0))
