"""A simulated HAProxy: servers with administrative state and checks, the runtime socket, statistics, saved states."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.simulated.lines import Answer, http
from tests.simulated.processes import Engine, Process

if TYPE_CHECKING:
    from tests.simulated.machine import Machine

FALL = 2
_COLUMNS = "# pxname,svname,qcur,scur,status,weight,check_status,lastchg,addr\n"


@dataclass(slots=True)
class Server:
    """`admin` is what it was told to be, `up` what its checks say."""

    backend: str
    name: str
    port: int
    admin: str = "maint"
    up: bool = False
    checked: bool = True
    weight: int = 1
    failed: int = 0

    def is_usable(self) -> bool:
        return self.admin == "ready" and self.up and self.weight > 0

    def status(self) -> str:
        if self.admin != "ready":
            return "MAINT" if self.admin == "maint" else "DRAIN"
        if not self.checked:
            return "no check"
        if not self.up:
            return "DOWN"
        return "UP" if self.weight else "DRAIN"

    def row(self) -> str:
        words = (self.backend, self.name, 0, 0, self.status(), self.weight, "L7OK" if self.up else "L4CON", 1)
        return ",".join(map(str, (*words, f"127.0.0.1:{self.port}"))) + "\n"

    def saved(self) -> str:
        words = (self.admin, int(self.up), int(self.checked), self.weight, self.port)
        return f"3 {self.backend} 1 {self.name} {' '.join(map(str, words))}\n"


@dataclass
class Config:
    """What a configuration file and those beside it say."""

    socket: str
    state: str
    port: int
    metrics_port: int
    servers: list[Server]
    keys: dict[str, str]
    models: dict[str, str]
    listed: str


@dataclass
class HAProxy(Process):
    machine: Machine = field(repr=False, kw_only=True)
    config_file: str = ""
    worker: int = 0
    config: Config = field(init=False)

    def begin(self) -> bool:
        """Read the configuration and bind; False if it can't, and ends."""
        config = read(self.machine, self.config_file)
        if config is None or not self.machine.files.has_folder(config.socket.rpartition("/")[0]):
            return False
        if any(self.machine.listener(port) for port in (config.port, config.metrics_port)):
            return False
        self._take(config)
        return True

    def reload(self) -> None:
        """A new worker from the configuration as it is now; with a bad one the old worker goes on."""
        config = read(self.machine, self.config_file)
        if config is not None:
            self._take(config)

    def ports(self) -> tuple[int, ...]:
        return (self.config.port, self.config.metrics_port)

    def server(self, place: str) -> Server | None:
        return next((s for s in self.config.servers if f"{s.backend}/{s.name}" == place), None)

    def dial(self, address: str) -> Answer | None:
        config = self.config
        if address == f"unix:{config.socket}" and config.socket in self.machine.files.sockets:
            return lambda sent: self._command(sent.decode().strip()).encode()
        if address == f"tcp:127.0.0.1:{config.metrics_port}":
            return http(lambda *request: (200, self.stats().encode()))
        return http(self._request) if address == f"tcp:127.0.0.1:{config.port}" else None

    def stats(self) -> str:
        return _COLUMNS + "".join(server.row() for server in self.config.servers)

    def check(self) -> None:
        """One health check of every server that is checked."""
        for server in self.config.servers:
            if server.admin == "maint" or not server.checked:
                continue
            engine = self.machine.listener(server.port)
            if isinstance(engine, Engine) and engine.is_ready():
                server.up, server.failed = True, 0
            else:
                server.failed += 1
                server.up = server.up and server.failed < FALL

    def _take(self, config: Config) -> None:
        self.config = config
        self.worker = self.machine.next_pid()
        self.machine.files.sockets.add(config.socket)
        known = {(words[1], words[3]): words for words in _saved(self.machine.files.read(config.state) or "")}
        for server in config.servers:
            if words := known.get((server.backend, server.name)):
                server.admin, up, checked, weight, port = words[4:9]
                server.up, server.checked = up == "1", checked == "1"
                server.weight, server.port = int(weight), int(port)

    def _command(self, command: str) -> str:
        if command == "show info":
            return f"Name: HAProxy\nPid: {self.worker}\n"
        if command.startswith("show stat"):
            return self.stats()
        if command == "show servers state":
            return "1\n# be_id be_name srv_id srv_name\n" + "".join(s.saved() for s in self.config.servers)
        verb, rest = re.fullmatch(r"(set server|enable health|disable health) (.*)", command).groups()  # type: ignore[union-attr]
        place, _, what = rest.partition(" ")
        server = self.server(place)
        if server is None:
            return "No such server.\n"
        self._set(server, verb, what)
        self.machine.effect(command)
        return "\n"

    def _set(self, server: Server, verb: str, what: str) -> None:
        if what.startswith("state "):
            wanted = what.removeprefix("state ")
            if wanted == "ready" and server.admin == "maint":
                server.up, server.failed = True, 0
            if wanted == "ready":
                self.machine.gives_traffic(server)
            server.admin = wanted
        elif what.startswith("weight "):
            server.weight = 1 if what == "weight 100%" else 0
        else:
            server.checked = verb == "enable health"

    def _request(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        config = self.config
        key = headers.get("authorization", "").removeprefix("Bearer ")
        if hashlib.sha256(key.encode()).hexdigest() not in config.keys:
            return 401, b"{}"
        if path == "/v1/models":
            return 200, config.listed.encode()
        backend = config.models.get(json.loads(body)["model"])
        if backend is None:
            return 404, b"{}"
        for server in config.servers:
            if server.backend == backend and server.is_usable():
                engine = self.machine.listener(server.port)
                self.machine.sends(server, engine)
                if isinstance(engine, Engine):
                    return engine.complete(body)
        return 503, b"{}"


def read(machine: Machine, path: str) -> Config | None:
    """The configuration in that file; None if it is not there or not one."""
    text, folder = machine.files.read(path), path.rpartition("/")[0]
    maps = {
        name: machine.files.read(f"{folder}/{name}") for name in ("keys.map", "models.map", "models.json", "hold.lua")
    }
    if text is None or None in maps.values():
        return None
    found = dict(_settings(text))
    if not {"socket", "state", "api", "operations"} <= set(found):
        return None
    return Config(
        socket=found["socket"],
        state=found["state"],
        port=int(found["api"]),
        metrics_port=int(found["operations"]),
        servers=list(_servers(text)),
        keys=dict(_pairs(maps["keys.map"])),
        models=dict(_pairs(maps["models.map"])),
        listed=maps["models.json"] or "",
    )


def _settings(text: str) -> Iterator[tuple[str, str]]:
    section = ""
    for words in (line.split() for line in text.splitlines() if line.strip()):
        if words[0] in ("frontend", "backend"):
            section = words[1]
        elif words[0] == "bind" and ":" in words[1]:  # not the socket between workers
            yield section, shlex.split(words[1])[0].rpartition(":")[2]
        elif words[:2] == ["stats", "socket"]:
            yield "socket", words[2].strip("'")
        elif words[0] == "server-state-file":
            yield "state", words[1].strip("'")


def _servers(text: str) -> Iterator[Server]:
    backend = ""
    for words in (line.split() for line in text.splitlines() if line.strip()):
        if words[0] == "backend":
            backend = words[1]
        elif words[0] == "server" and backend != "successor":
            yield Server(backend=backend, name=words[1], port=int(words[2].rpartition(":")[2]))


def _pairs(text: str | None) -> Iterator[tuple[str, str]]:
    yield from (tuple(line.split(" ", 1)) for line in (text or "").splitlines())  # type: ignore[misc]


def _saved(text: str) -> Iterator[list[str]]:
    yield from (words for words in (line.split() for line in text.splitlines()) if len(words) == 9)
