"""Connections in memory: what is sent is kept until somebody reads, and then answered as a whole, without a thread."""

from __future__ import annotations

import io
import socket
from collections.abc import Callable
from types import TracebackType
from typing import cast

Answer = Callable[[bytes], bytes]


class Line:
    """As much of a socket as `http.client` and our runtime socket use."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._sent = b""
        self._answered: io.BytesIO | None = None

    def sendall(self, data: bytes) -> None:
        self._sent += data

    def recv(self, size: int) -> bytes:
        return self._reply().read(size)

    def makefile(self, mode: str) -> io.BytesIO:
        return self._reply()

    def setsockopt(self, *option: int) -> None:
        pass

    def close(self) -> None:
        pass

    def __enter__(self) -> Line:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def _reply(self) -> io.BytesIO:
        if self._answered is None:
            self._answered = io.BytesIO(self._answer(self._sent))
        return self._answered


def line(answer: Answer) -> socket.socket:
    return cast(socket.socket, Line(answer))


def http(answer: Callable[[str, str, dict[str, str], bytes], tuple[int, bytes]]) -> Answer:
    """Speaks HTTP around `answer`, which gets method, path, headers in small letters and body. Status 0 hangs up."""

    def speak(sent: bytes) -> bytes:
        head, _, body = sent.partition(b"\r\n\r\n")
        first, *rest = head.decode().split("\r\n")
        method, path, _ = first.split(" ")
        headers = {name.lower(): value for name, _, value in (one.partition(": ") for one in rest)}
        status, said = answer(method, path, headers, body)
        if status == 0:
            return b""
        return f"HTTP/1.1 {status} X\r\nContent-Length: {len(said)}\r\nConnection: close\r\n\r\n".encode() + said

    return speak
