"""A small real HTTP server in the place of an inference engine behind the gateway.

It proves what the gateway does with requests, answers and connections. It does not prove anything about an engine: it
generates nothing, has no slots of its own, does not validate requests, and its timing is whatever the test says.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import sys
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import cast

FIRST_PIECE = b'data: {"piece": 1}\n\n'
LAST_PIECE = b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A request as it arrived."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


class Upstream:
    """Answers POST with `{"from": name}`, or with two pieces of a stream if the body asks for one.

    `open_gate.clear()` keeps answers back (of a stream: the second piece) until it is set again.
    `resets_at`: the how-many-th request of a connection is answered by a reset, as when the server closes just then.
    """

    def __init__(self, name: str, *, port: int = 0, resets_at: int | None = None) -> None:
        self.name = name
        self.healthy = True
        self.resets_at = resets_at
        self.open_gate = threading.Event()
        self.open_gate.set()
        self.lock = threading.Lock()
        self.seen: list[Seen] = []
        self.in_progress = 0
        self.most_in_progress = 0
        self.abandoned = 0
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.upstream = self
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> Upstream:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.open_gate.set()
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    upstream: Upstream

    def handle_error(self, request: object, client_address: object) -> None:
        """A connection that breaks is part of several tests, not a message on stderr."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    requests = 0

    @property
    def upstream(self) -> Upstream:
        return cast(_Server, self.server).upstream

    def do_GET(self) -> None:
        self._answer(200 if self.path == "/health" and self.upstream.healthy else 503, {"status": "stand-in"})

    def do_POST(self) -> None:
        self.requests += 1
        body = self._body()
        self._arrived(body)
        if self.requests == self.upstream.resets_at:
            self._left()
            self._reset()
        elif b'"stream": true' in body:
            self._stream()
        elif self._passed_gate():
            self._answer(200, {"from": self.upstream.name})

    def _arrived(self, body: bytes) -> None:
        request = Seen(method=self.command, path=self.path, headers=tuple(self.headers.items()), body=body)
        with self.upstream.lock:
            self.upstream.seen.append(request)
            self.upstream.in_progress += 1
            self.upstream.most_in_progress = max(self.upstream.most_in_progress, self.upstream.in_progress)

    def _left(self, *, abandoned: bool = False) -> None:
        """Before the last byte is out: whoever reads it may send the next request at once."""
        with self.upstream.lock:
            self.upstream.in_progress -= 1
            self.upstream.abandoned += abandoned

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _passed_gate(self) -> bool:
        """True when the gate opened, False when the client left before that."""
        while not self.upstream.open_gate.wait(0.02):
            if self._client_is_gone():
                self._left(abandoned=True)
                self.close_connection = True
                return False
        self._left()
        return True

    def _client_is_gone(self) -> bool:
        readable, _, _ = select.select([self.connection], [], [], 0)
        try:
            return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)
        except ConnectionResetError:
            return True

    def _answer(self, status: int, content: object) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self._chunk(FIRST_PIECE)
        if self._passed_gate():
            self._chunk(LAST_PIECE)
            self._chunk(b"")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Tests read `seen`, not a log."""


def main() -> None:
    """Serve on the port given as the only argument until killed, for measurements that need a process of its own."""
    with Upstream("standalone", port=int(sys.argv[1])):
        threading.Event().wait()


if __name__ == "__main__":
    main()
