"""Where weights come from: a web server that counts what is asked of it."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from enginehouse.converge.upload import CHUNK_BYTES


class Files(ThreadingHTTPServer):
    """Serves one file over TLS, with ranges; `slow_s` pauses after each piece. `ranges` holds what was asked for."""

    def __init__(self, data: bytes, certificate: Path) -> None:
        self.data = data
        self.slow_s = 0.0
        self.ranges: list[str | None] = []
        super().__init__(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self.socket = context.wrap_socket(self.socket, server_side=True)

    @property
    def url(self) -> str:
        return f"https://localhost:{self.server_address[1]}/big.gguf"


class Handler(BaseHTTPRequestHandler):
    server: Files

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.data)))
        self.end_headers()

    def do_GET(self) -> None:
        wanted = self.headers["Range"]
        self.server.ranges.append(wanted)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        rest = self.server.data[start:]
        self.send_response(206 if wanted else 200)
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{len(self.server.data) - 1}/{len(self.server.data)}")
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        for offset in range(0, len(rest), CHUNK_BYTES):
            self.wfile.write(rest[offset : offset + CHUNK_BYTES])
            time.sleep(self.server.slow_s)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def served(data: bytes, certificate: Path) -> Iterator[Files]:
    """That content, until the block ends."""
    server = Files(data, certificate)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
