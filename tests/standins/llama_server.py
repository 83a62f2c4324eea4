"""A program in the place of `llama-server`: its flags, health, log, and way to stop. What it answers is made up.

Its model file is JSON and says how it behaves:
{"load_s": 0.5, "exit_after_load": 3, "last_words": "no", "text": "", "token_s": 0.05, "status": 500}, and ended by
signals: {"killed_after_load": "SIGKILL", "killed_at_completion": "SIGSEGV"}. {"queue": true}: no more than `parallel`
requests at once. {"takes_mib": 500}: so much memory while it loads. {"loads_with": "/a/file"}: it has loaded once that
file is there; a request with {"until": "/a/file"} is answered once that one is. From SIGUSR1 on it hangs: health
answers, completions and metrics do not.
With `STANDIN_JOURNAL` it appends to that file what happens to it, one JSON object a line (`Journal`).
It proves what converge does with an engine's process, port, health and exit. It proves nothing about inference.
Strict: an unknown flag is an error, as in the real one.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import FrameType
from typing import Any

VALUED = (
    "model", "alias", "host", "port", "ctx-size", "parallel", "cache-ram", "sse-ping-interval", "threads", "fit",
    "cors-origins", "chat-template", "gpu-layers", "api-key-file",
)  # fmt: skip
BARE = ("metrics", "slots", "offline", "no-ui", "no-cors-credentials", "jinja")
OPEN = ("/health", "/v1/health")
"""What goes without a key, also where there is one (measured 2026-12, b11434)."""
VERSION = "version: 11434 (stand-in)\nbuilt with nothing for nobody\n"


class Journal:
    """When this process started, loaded, was asked to stop, was awaited, proved itself, got and answered each request.

    `id` is what the gateway calls a request. One without came from converge, which waits for an engine with Python's
    client and then lets it prove itself with a completion; HAProxy's checks and what `curl` asks are not noted.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        path = os.environ.get("STANDIN_JOURNAL")
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600) if path else None
        mark, release = (os.environ.get(f"ENGINEHOUSE_{name}", "") for name in ("PROGRAM", "RELEASE"))
        self._who = {"pid": os.getpid(), "port": int(options.port), "mark": mark, "release": release}

    def note(self, event: str, **more: object) -> None:
        if self._file is not None:
            line = {"t": time.monotonic(), "event": event, **self._who, **more}
            os.write(self._file, json.dumps(line).encode() + b"\n")


class Engine:
    """What the process knows: its behaviour, whether it has loaded, and how many requests it works on."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.behaviour: dict[str, Any] = json.loads(Path(options.model).read_text())
        self.loaded = threading.Event()
        self.busy = 0
        self.decoded = 0
        self.lock = threading.Lock()
        self.slots = threading.Semaphore(int(options.parallel) if self.behaviour.get("queue") else 1000)
        self.turns = threading.Event()
        self.turns.set()
        self.keys = keys(options.api_key_file) if options.api_key_file else ()
        self.journal = Journal(options)
        self.journal.note("started")

    def load(self) -> None:
        time.sleep(self.behaviour.get("load_s", 0.0))
        while not Path(self.behaviour.get("loads_with", "/")).exists():
            time.sleep(0.02)
        self.take(self.behaviour.get("takes_mib", 0))
        self.die("killed_after_load")
        if "exit_after_load" in self.behaviour:
            print(self.behaviour.get("last_words", "error: the stand-in was told to fail"), flush=True)
            os._exit(self.behaviour["exit_after_load"])
        self.loaded.set()
        self.journal.note("loaded")
        print("main: model loaded", flush=True)

    def take(self, mib: int) -> None:
        """Memory that is used, not only asked for."""
        self.taken = b"x" * (mib << 20)

    def die(self, when: str) -> None:
        """End by a signal, if this is when it was told to; to this thread, which else might go on and answer."""
        if when in self.behaviour:
            signal.raise_signal(signal.Signals[self.behaviour[when]])

    def decode(self) -> None:
        """One step of work; never over while it hangs."""
        time.sleep(self.behaviour.get("token_s", 0.0))
        self.turns.wait()
        with self.lock:
            self.decoded += 1


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        if "Accept-Encoding" in self.headers:
            self.server.engine.journal.note("awaited")
        if not self._may():
            self._refuse()
        elif not self.server.engine.loaded.is_set():
            self._send(503, {"error": {"message": "Loading model"}})
        elif self.path == "/metrics":
            self.server.engine.turns.wait()
            text = "# TYPE llamacpp:n_decode_total counter\nllamacpp:n_decode_total {}\nllamacpp:other 0\n"
            self._send_text(200, text.format(self.server.engine.decoded), "text/plain")
        else:
            self._send(200, {"status": "ok"})

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        engine, name = self.server.engine, self.headers.get("X-Request-Id")
        if not self._may():
            self._refuse()
            return
        if name:
            engine.journal.note("request", id=name, loaded=engine.loaded.is_set())
        with engine.lock:
            engine.busy += 1
        try:
            with engine.slots:
                self._complete(request, engine.behaviour)
            if not name and "Accept-Encoding" in self.headers:
                engine.journal.note("proved")
        finally:
            with engine.lock:
                engine.busy -= 1

    def _may(self) -> bool:
        accepted, key = self.server.engine.keys, self.headers.get("Authorization", "").removeprefix("Bearer ")
        return not accepted or self.path in OPEN or key in accepted

    def _refuse(self) -> None:
        self._send(401, {"error": {"message": "Invalid API Key", "type": "authentication_error", "code": 401}})

    def _complete(self, request: dict[str, Any], behaviour: dict[str, Any]) -> None:
        self.server.engine.die("killed_at_completion")
        self.server.engine.take(request.get("take_mib", 0))
        if behaviour.get("status", 200) != 200:
            self._send(behaviour["status"], {"error": {"message": "told to fail"}})
            return
        pieces = list(behaviour.get("text", "hello")) * request.get("repeat", 1)
        if request.get("stream"):
            self._stream(pieces, request)
            return
        for _ in pieces or [""]:
            self.server.engine.decode()
        self._finish(request)
        message = {"role": "assistant", "content": "".join(pieces)}
        self._send(200, {"choices": [{"message": message}], "served_by": self.server.engine.options.ctx_size})

    def _stream(self, pieces: list[str], request: dict[str, Any]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for piece in pieces:
            self.server.engine.decode()
            self.wfile.write(b"data: " + json.dumps({"choices": [{"delta": {"content": piece}}]}).encode() + b"\n\n")
        self._finish(request)
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def _finish(self, request: dict[str, Any]) -> None:
        """Noted before whoever asked can know that it is over."""
        while not Path(request.get("until", "/")).exists():
            time.sleep(0.02)
        self.server.engine.journal.note("answered")

    def _send(self, status: int, body: dict[str, Any]) -> None:
        self._send_text(status, json.dumps(body), "application/json")

    def _send_text(self, status: int, text: str, kind: str) -> None:
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        super().__init__((engine.options.host, int(engine.options.port)), Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that left is no news; a traceback would become the engine's last words."""


def main() -> None:
    if sys.argv[1:] == ["--version"]:
        print(VERSION, end="", file=sys.stderr)
        return
    engine = Engine(arguments(sys.argv[1:]))

    def stop(_signal: int, _frame: FrameType | None) -> None:
        """Idle: at once. With a request in progress: never, as measured with the real one. Hanging: at once again."""
        engine.journal.note("told to stop")
        if engine.busy == 0 or not engine.turns.is_set():
            os._exit(0)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGUSR1, lambda _signal, _frame: engine.turns.clear())
    server = Server(engine)  # before the thread: one that prints while Python ends for want of a port aborts it
    threading.Thread(target=engine.load, daemon=True).start()
    server.serve_forever()


def keys(file: str) -> tuple[str, ...]:
    """One a line. A file that can't be read ends the start; one without any lets everybody in, as in the real one."""
    try:
        return tuple(filter(None, Path(file).read_text().splitlines()))
    except OSError:
        print(f"error while handling argument \"--api-key-file\": error: failed to open file '{file}'", flush=True)
        sys.exit(1)


def arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="llama-server", allow_abbrev=False, exit_on_error=False)
    for name in VALUED:
        parser.add_argument(f"--{name}")
    for name in BARE:
        parser.add_argument(f"--{name}", action="store_true")
    options, unknown = parser.parse_known_args(words)
    if unknown:
        print(f"error: invalid argument: {unknown[0]}", flush=True)
        sys.exit(1)
    return options


if __name__ == "__main__":
    main()
