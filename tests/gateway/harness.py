"""A real HAProxy on a part's files, laid out as on a machine, and a client for it."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from enginehouse.connectors.local import LocalConnector
from enginehouse.errors import ConnectorError
from enginehouse.gateway import Refused, RuntimeSocket, ServerState, commands, files
from enginehouse.planner.parts import GatewayPart
from enginehouse.render.symbols import Secret, fill
from tests.ports import free_port

DEADLINE_S = 60.0
"""For what takes milliseconds; a busy machine may take seconds."""
KEYS = {name: f"sk-poison-{name}-5b1d9f0c" for name in ("key-demo", "key-next", "key-other")}
SECRETS = {name: Secret(value) for name, value in KEYS.items()}

Edit = Callable[[str], str]


def replacing(old: str, new: str) -> Edit:
    """A change of the rendered configuration, for twins and short times; fails when there is nothing to change."""

    def edit(config: str) -> str:
        assert old in config
        return config.replace(old, new)

    return edit


def wait_until(true: Callable[[], object], what: str, deadline_s: float = DEADLINE_S) -> None:
    """Return as soon as `true()` is; fail with `what` after the deadline."""
    end = time.monotonic() + deadline_s
    while not true():
        assert time.monotonic() < end, f"not within {deadline_s:g} s: {what}"
        time.sleep(0.01)


def ports(*upstreams: int) -> Iterator[int]:
    """Ports for `gateway_part`: free ones for endpoint and metrics, then the given ones, then more free ones."""
    yield free_port()
    yield free_port()
    yield from upstreams
    while True:
        yield free_port()


def _accepts(process: int, port: int) -> bool:
    """Whether the process holds a socket that listens on the port (state 0A in the kernel's table)."""
    table = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listening = {f"socket:[{row[9]}]" for row in table if row[3] == "0A" and int(row[1].split(":")[1], 16) == port}
    with contextlib.suppress(FileNotFoundError):
        return any(str(file.readlink()) in listening for file in Path("/proc", str(process), "fd").iterdir())
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def error_code(self) -> str:
        """The code of an error in the OpenAI shape; fails if the shape is another one."""
        assert self.headers["content-type"] == "application/json"
        error = self.json()["error"]
        assert set(error) == {"message", "type", "param", "code"}
        return str(error["code"])


class RunningGateway:
    """HAProxy in master-worker mode on the files of a part, until the block ends."""

    def __init__(self, haproxy: str, folder: Path, part: GatewayPart, *, edit: Edit = str) -> None:
        self.haproxy = haproxy
        self.folder = folder
        self.part = part
        self.log = folder / "log" / "access.log"
        self.notices = folder / "log" / "notices.log"
        self.runtime = RuntimeSocket(LocalConnector("laptop"), str(folder / "run" / "admin.sock"))
        for name in ("run", "log", "releases"):
            (folder / name).mkdir()
        self.place(part, edit=edit)

    def __enter__(self) -> RunningGateway:
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def restart(self) -> None:
        """Stop at once, as a crash of the machine would, and start again."""
        self._stop()
        self._start()

    def _start(self) -> None:
        words = [word.replace("@{part}", str(self.folder)) for word in commands.start(self.haproxy)]
        with self.log.open("ab") as log, self.notices.open("ab") as notices:
            self.process = subprocess.Popen(words, stdout=log, stderr=notices)
        wait_until(
            lambda: self.process.poll() is not None or self.worker_or_none(), "the gateway answers on its socket"
        )
        assert self.process.poll() is None, self.notices.read_text()

    def _stop(self) -> None:
        self.process.terminate()
        self.process.wait(DEADLINE_S)

    def place(self, part: GatewayPart, *, edit: Edit = str) -> None:
        """Write a release, check it where it is, and point `current` at it."""
        release = self.folder / "releases" / str(len(list((self.folder / "releases").iterdir())))
        release.mkdir()
        for file in files(part):
            content = fill(file.content, {"part": str(self.folder)}, SECRETS)
            path = release / file.path
            path.touch(mode=file.mode)
            path.write_text(edit(content) if file.path == "haproxy.cfg" else content)
        words = [word.replace("@{release}", str(release)) for word in commands.check(self.haproxy)]
        subprocess.run(words, check=True)
        (self.folder / "next").symlink_to(release)
        (self.folder / "next").rename(self.folder / "current")

    def reload(self, part: GatewayPart) -> None:
        """As converge does it: save the state, switch, signal until a new worker answers."""
        self.save_state()
        self.place(part)
        before, self.part = self.part, part
        old = self.runtime.worker()
        signals = 0
        began = time.monotonic()

        def reloaded() -> bool:
            nonlocal signals
            if time.monotonic() - began > signals * commands.SIGNAL_AGAIN_S:
                self.process.send_signal(getattr(signal, f"SIG{commands.RELOAD_SIGNAL}"))
                signals += 1
            return self.worker_or_none() not in (None, old)

        wait_until(reloaded, "the new worker answers")
        wait_until(lambda: not _accepts(old, before.port), "the old worker accepts no more connections")

    def save_state(self) -> None:
        (self.folder / "run" / "servers.state").write_text(self.runtime.dump_state())

    def worker_or_none(self) -> int | None:
        """None while nobody answers, also between two workers."""
        try:
            return self.runtime.worker()
        except (ConnectorError, Refused):
            return None

    def set_state(self, server: str, state: ServerState) -> None:
        backend = next(b.name for b in self.part.backends if any(s.name == server for s in b.servers))
        self.runtime.set_state(backend, server, state)

    def make_ready(self, *servers: str) -> None:
        """Set the servers ready and wait until the gateway uses them."""
        for server in servers:
            self.set_state(server, ServerState.READY)
        wait_until(
            lambda: set(servers) <= {r.server for r in self.runtime.servers() if r.is_usable()}, "servers are up"
        )

    def connect(self, port: int | None = None) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", port or self.part.port, timeout=DEADLINE_S)

    def ask(
        self,
        method: str = "POST",
        path: str = "/v1/chat/completions",
        body: object = None,
        *,
        key: str | None = "key-demo",
        headers: Mapping[str, str] | None = None,
        connection: http.client.HTTPConnection | None = None,
        port: int | None = None,
    ) -> Answer:
        """One request, by default a completion with the demo key, on a connection of its own."""
        connection = connection or self.connect(port)
        sent = {"Authorization": f"Bearer {KEYS[key]}"} if key else {}
        content = body if isinstance(body, bytes) else json.dumps(body if body is not None else {"model": "org/chat:1"})
        connection.request(method, path, body=content if method == "POST" else None, headers=sent | dict(headers or {}))
        answer = connection.getresponse()
        names = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(status=answer.status, headers=names, body=answer.read())

    def raw(self, request: bytes) -> bytes:
        """Bytes in, all bytes out until the gateway ends the connection."""
        with socket.create_connection(("127.0.0.1", self.part.port), timeout=DEADLINE_S) as connection:
            connection.sendall(request)
            return b"".join(iter(lambda: connection.recv(65536), b""))

    def command(self, line: str) -> str:
        """The runtime socket's answer to a command that the gateway itself never needs."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(DEADLINE_S)
            connection.connect(str(self.folder / "run" / "admin.sock"))
            connection.sendall(f"{line}\n".encode())
            return b"".join(iter(lambda: connection.recv(65536), b"")).decode()

    def proc(self, name: str) -> Path:
        """A file about the worker in /proc."""
        return Path("/proc", str(self.runtime.worker()), name)

    def log_entries(self, count: int) -> list[dict[str, Any]]:
        """The first `count` access log lines, once they are written."""
        wait_until(lambda: len(self._log_lines()) >= count, f"{count} log lines in\n{self.log.read_text()}")
        return [json.loads(line) for line in self._log_lines()]

    def _log_lines(self) -> list[str]:
        """Those that are complete."""
        return [line for line in self.log.read_text().split("\n")[:-1] if line.startswith("{")]
