"""A slow way to a server: a relay on loopback that lets only so many bytes a second through."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

PIECE_BYTES = 4 * 2**10
BUFFER_BYTES = 16 * 2**10
"""A relay that took in more than it lets through would be a fast link with a long queue."""


@contextlib.contextmanager
def slow_link(port: int, *, bytes_per_s: float) -> Iterator[int]:
    """A port that leads to that one on loopback; each connection has the speed for itself, in both directions."""
    with contextlib.ExitStack() as stack:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        stack.callback(listener.close)
        stack.callback(listener.shutdown, socket.SHUT_RDWR)
        threading.Thread(target=_serve, args=(listener, port, bytes_per_s), daemon=True).start()
        yield listener.getsockname()[1]


def _serve(listener: socket.socket, port: int, bytes_per_s: float) -> None:
    with contextlib.suppress(OSError):
        while True:
            near, _ = listener.accept()
            far = socket.create_connection(("127.0.0.1", port))
            for ends in ((near, far), (far, near)):
                threading.Thread(target=_relay, args=(*ends, bytes_per_s), daemon=True).start()


def _relay(source: socket.socket, target: socket.socket, bytes_per_s: float) -> None:
    due = time.monotonic()
    with contextlib.suppress(OSError):
        while data := source.recv(PIECE_BYTES):
            due = max(due, time.monotonic()) + len(data) / bytes_per_s
            time.sleep(max(0.0, due - time.monotonic()))
            target.sendall(data)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
