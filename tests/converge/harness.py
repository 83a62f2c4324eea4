"""A stack on this machine in a folder of its own: planned from YAML, brought up with real supervisord and HAProxy."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from enginehouse.connectors import Connectors
from enginehouse.connectors.base import Connector, Held, Result
from enginehouse.connectors.local import LocalConnector
from enginehouse.converge import Context, Observed, Run, SystemClock, converge, destroy, observe
from enginehouse.converge.context import Clock
from enginehouse.converge.events import Event
from enginehouse.converge.journal import Entry
from enginehouse.converge.lease import Leases
from enginehouse.converge.owner import Claim
from enginehouse.converge.records import events
from enginehouse.converge.supervisor import Supervisor
from enginehouse.gateway import RuntimeSocket
from enginehouse.gateway import files as gateway_files
from enginehouse.planner.parts import ConnectionKind, GatewayPart, Part, Plan, ReplicaPart, Side
from enginehouse.planner.plan import plan
from enginehouse.render.symbols import Secret
from enginehouse.spec import load_text
from enginehouse.spec.lock import NOTHING_LOCKED, Lock
from tests.tools_available import require_tool

STANDIN = Path(__file__).parents[1] / "standins" / "llama_server.py"
KEY = "sk-demo-0123456789"
MODEL = "tiny"
JOURNAL = "engines.jsonl"
"""In a world's folder: what happened to its stand-in engines."""
FORKING = ("/supervisor", "/watchdog", "/certificates")
"""Marks of the programs that start others now and then; what they start is none of theirs."""
LEASE_WAIT_S = 30
"""A run that died lets go as soon as its keeper gets to run; tests that are refused wait less (`impatient`)."""
SMALL_MIB = 100
HUGE_MIB = 10**7
"""More memory than any machine of ours has, so that a second engine does not fit beside the first."""
SETTINGS: Mapping[str, Any] = {
    "deployment": "chat",
    "renamed_from": None,
    "replicas": 1,
    "version": "b11434",
    "port": None,
    "context": 2048,
    "slots": 2,
    "source": "upload://model.gguf",
    "binary": None,
    "ready_within_s": 90,
    "drain_s": 20,
    "hang_after_s": None,
    "options": {},
    "container": {},
    "secrets": ["key-demo"],
    "limits": {},
    "timeouts": {},
    "endpoint": {},
    "front": {},
    "behind": {},
}
"""`port`: the endpoint's, where it is not the world's own. `hang_after_s` may be shorter than in a stack file.
`container`: how the engine runs, if it is not a program of the machine. `endpoint`: further keys of it. `front` and
`behind`: further deployments before and after the one, by name, with what differs from these."""


SOON_S = 90.0
"""For what takes a second or two; a busy machine may take longer."""


class Recorder:
    """A connector that counts what goes through it."""

    def __init__(self, inner: Connector) -> None:
        self._inner = inner
        self.runs = 0
        self.holds = 0

    @property
    def host(self) -> str:
        return self._inner.host

    def run(
        self,
        script: str,
        *,
        stdin: Iterable[bytes] = (),
        deadline_s: float,
        on_line: Callable[[str], None] | None = None,
    ) -> Result:
        self.runs += 1
        return self._inner.run(script, stdin=stdin, deadline_s=deadline_s, on_line=on_line)

    def dial(self, address: str, *, deadline_s: float) -> socket.socket:
        return self._inner.dial(address, deadline_s=deadline_s)

    def hold(self, script: str, *, deadline_s: float) -> Held:
        self.holds += 1
        return self._inner.hold(script, deadline_s=deadline_s)

    def close(self) -> None:
        self._inner.close()


@dataclass
class World:
    """One stack. `settings` are what a person would edit in the YAML; `model` is what the stand-in engine does."""

    folder: Path
    port: int
    tools: Path
    settings: dict[str, Any] = field(default_factory=lambda: dict(SETTINGS))
    lock: Lock = NOTHING_LOCKED
    secrets: dict[str, Secret] = field(default_factory=lambda: {"key-demo": Secret(KEY)})
    events: list[Event] = field(default_factory=list)
    on_event: Callable[[Event], None] = lambda event: None
    run_id: str = "run-1"
    state_name: str = "s"
    claim: Claim | None = None
    clock: Clock = field(default_factory=SystemClock)
    trusted: ssl.SSLContext | None = None
    """Whom clients trust, once the endpoint speaks TLS."""

    def __post_init__(self) -> None:
        self.model = self.folder / "model.gguf"
        if not self.model.exists():
            self.write_model({})
        self.connector = Recorder(self.reach())
        self.connectors = Connectors(dict.fromkeys(ConnectionKind, lambda host, connection: self.connector))
        self.leases = Leases(self.clock, lease_wait_s=LEASE_WAIT_S)
        self.cancelled = threading.Event()

    def reach(self) -> Connector:
        """The way to the machine."""
        return LocalConnector("box", environment=self.environment())

    def impatient(self) -> None:
        """Wait for no lease that somebody else has, until the next `reset`."""
        self.leases = Leases(self.clock, lease_wait_s=0)

    def machine(self) -> Mapping[str, Any]:
        """The machine in the stack file."""
        return {"local": {}}

    def reset(self) -> None:
        """What the person wants is as at first; what the machine has is left as it is."""
        self.settings = dict(SETTINGS)
        self.lock = NOTHING_LOCKED
        self.secrets.clear()
        self.secrets["key-demo"] = Secret(KEY)
        self.on_event = lambda event: None
        self.run_id = "run-1"
        self.claim = None
        self.trusted = None
        self.leases = Leases(self.clock, lease_wait_s=LEASE_WAIT_S)
        self.write_model({})

    @property
    def side(self) -> Side:
        """Where the manifest says that the replica serves."""
        return Side(self.manifest("chat-box-0")["side"])

    @property
    def engine(self) -> str:
        """The program that serves."""
        return f"chat-box-0-{self.side}"

    @property
    def serving_port(self) -> int:
        return self.replica().ports[self.side]

    @property
    def state(self) -> Path:
        return Path(f"{self.folder}/{self.state_name}")

    def states(self) -> tuple[str, ...]:
        """The state folders of all its machines."""
        return (str(self.state),)

    @property
    def stack(self) -> str:
        return f"t{self.port}"

    def weights(self) -> Path:
        """Those of the first replica, on the machine."""
        return Path(self.replica().weights_path.replace("@{state}", str(self.state)))

    def write_model(self, behaviour: Mapping[str, Any]) -> None:
        """Another model file is other weights, and another engine."""
        assert self.model.is_relative_to(self.folder), f"{self.model} is not the world's to write"
        self.model.write_text(json.dumps(behaviour))

    def plan(self) -> Plan:
        loaded = load_text(self.yaml(), name=self.stack, display="stack.yaml")
        assert loaded.spec is not None, loaded.diagnostics
        made = plan(loaded.spec, self.lock)
        return replace(
            made, replicas=tuple(replace(r, hang_after_s=self.settings["hang_after_s"]) for r in made.replicas)
        )

    def replica(self, index: int = 0) -> ReplicaPart:
        return self.plan().replicas[index]

    def gateway(self) -> GatewayPart:
        return self.plan().gateways[0]

    def gateway_with_ports(self, part: GatewayPart, ports: Mapping[str, int]) -> GatewayPart:
        """The gateway as it would be planned had its only replica these ports."""
        servers = tuple(replace(server, port=ports[server.side]) for server in part.backends[0].servers)
        bare = replace(part, files=(), backends=(replace(part.backends[0], servers=servers),))
        return replace(bare, files=gateway_files(bare))

    def context(self) -> Context:
        self.cancelled = threading.Event()
        return Context(
            run=Run(id=self.run_id, who="ada@desk", door="test"),
            connectors=self.connectors,
            listen=self._listen,
            secrets=self.secrets,
            uploads_from=self.folder,
            cancelled=self.cancelled,
            clock=self.clock,
            leases=self.leases,
            claim=self.claim,
        )

    def trust(self, certificate: Path) -> None:
        """Let downloads of the machine accept that certificate."""
        environment = {**self.environment(), "CURL_CA_BUNDLE": str(certificate)}
        self.connector = Recorder(LocalConnector("box", environment=environment))
        self.connectors = Connectors({ConnectionKind.LOCAL: lambda host, connection: self.connector})

    def converge(self, part: Part, **known: Any) -> dict[str, Any]:
        return converge(part, self.context(), **known)

    def observe(self, part: Part) -> Observed | None:
        return observe(part, self.context())

    def destroy(self, part: Part, **known: Any) -> tuple[str, ...]:
        return destroy(part, self.context(), **known)

    def up(self) -> dict[str, dict[str, Any]]:
        return {part.name: self.converge(part) for part in self.plan().parts()}

    def down(self) -> tuple[str, ...]:
        return tuple(line for part in reversed(self.plan().parts()) for line in self.destroy(part))

    def journal(self, word: str | None = None) -> list[Entry]:
        """What the stack's journal says, oldest first; only one kind of event if `word` is given."""
        found = events(self.plan().hosts[0], self.context())
        return [entry for entry in found if word in (None, entry.event)]

    def texts(self) -> list[str]:
        return [f"{event.part}: {event.text}" for event in self.events]

    def place(self, *names: str) -> Path:
        return Path(self.state, self.stack, *names)

    def here(self, path: str) -> Path:
        """Where a file of the machine can be read."""
        return Path(path)

    def manifest(self, part: str) -> dict[str, Any]:
        """What the machine remembers of a part."""
        found: dict[str, Any] = json.loads(self.place(part, "manifest.json").read_text())
        return found

    def engines(self) -> list[str]:
        """Marks of all engines that run, each as often as it does."""
        return sorted(mark for mark in self.processes().values() if mark.startswith("chat-"))

    def processes(self) -> dict[int, str]:
        """Process id to program mark of everything that runs of this stack and state folder."""
        return dict(self._processes())

    def connection(self, timeout_s: float = SOON_S) -> http.client.HTTPConnection:
        """To the endpoint as it is planned now."""
        if self.trusted:
            return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout_s, context=self.trusted)
        return http.client.HTTPConnection("127.0.0.1", self.settings["port"] or self.port, timeout=timeout_s)

    def ask(
        self,
        *,
        key: str | None = KEY,
        stream: bool = False,
        kept: http.client.HTTPConnection | None = None,
        **more: Any,
    ) -> tuple[int, bytes]:
        """A chat completion through the gateway: status and body, 0 when the connection fails or is cut.

        It goes over `kept`, which stays open unless something failed, or over a connection of its own.
        """
        body = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}], "stream": stream, **more}
        connection = kept or self.connection()
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
        try:
            connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
            response = connection.getresponse()
            answer = response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            return 0, repr(error).encode()
        if connection is not kept:
            connection.close()
        return answer

    def metrics(self) -> str:
        """What the gateway tells Prometheus beside HAProxy's own numbers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.gateway().metrics_port, timeout=SOON_S)
        connection.request("GET", "/metrics/engines")
        return connection.getresponse().read().decode()

    def supervisor(self) -> Supervisor:
        return Supervisor(self.connector, str(self.place("box", "run", "supervisor.sock")), time.sleep)

    def runtime(self) -> RuntimeSocket:
        return RuntimeSocket(self.connector, str(self.place("gateway-box", "run", "admin.sock")))

    def kill(self, program: str) -> None:
        """kill -9 of every process with that mark."""
        for pid, mark in self.processes().items():
            if mark == program:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def kill_all(self) -> None:
        """kill -9 of everything, the supervisor first: it would start the others again."""
        self.kill("box/supervisor")
        while left := self.processes():
            for mark in set(left.values()):
                self.kill(mark)

    def remove(self, path: Path) -> None:
        shutil.rmtree(path)

    def wait_until(self, true: Callable[[], bool], within_s: float = SOON_S) -> None:
        until = time.monotonic() + within_s
        while not true():
            assert time.monotonic() < until
            time.sleep(0.05)

    def connections(self, port: int) -> int:
        """How many connections a local port has."""
        rows = Path("/proc/net/tcp").read_text().splitlines()[1:]
        return sum(row.split()[1].endswith(f":{port:04X}") and row.split()[3] == "01" for row in rows)

    def snapshot(self) -> dict[str, tuple[int, int]]:
        """Modification time and inode of every file and folder below the state folder."""
        found = sorted(self.state.rglob("*"))
        return {str(path): (path.lstat().st_mtime_ns, path.lstat().st_ino) for path in found if not _lives(path)}

    def environment(self) -> dict[str, str]:
        path = f"{self.tools}:{os.environ['PATH']}"
        ours = {"ENGINEHOUSE_STATE": str(self.state), "ENGINEHOUSE_CACHE": str(self.folder / "no-cache"), "PATH": path}
        return {**os.environ, **ours}

    def _listen(self, event: Event) -> None:
        self.events.append(event)
        self.on_event(event)

    def _processes(self) -> Iterator[tuple[int, str]]:
        """Without those that were forked to become something else, and have our programs' marks until they do."""
        found = dict(self._marked())
        forks = {pid for pid, mark in found.items() if mark.endswith(FORKING) and found.get(parent(pid)) == mark}
        yield from ((pid, mark) for pid, mark in found.items() if pid not in forks)

    def _marked(self) -> Iterator[tuple[int, str]]:
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                pairs = (word.partition("=") for word in os.fsdecode((folder / "environ").read_bytes()).split("\0"))
                environ = {name: value for name, _, value in pairs}
            except OSError:
                continue
            if environ.get("ENGINEHOUSE_STATE") in self.states() and "ENGINEHOUSE_PROGRAM" in environ:
                yield int(folder.name), environ["ENGINEHOUSE_PROGRAM"].removeprefix(f"{self.stack}/")

    def yaml(self) -> str:
        """The stack file."""
        s = self.settings
        main = {s["deployment"]: self._deployment(s, MODEL)}
        key = {"name": "demo", "secrets": s["secrets"], **s["limits"]}
        stack = {
            "enginehouse": 1,
            "machines": {"box": self.machine()},
            "deployments": {**self._others(s["front"]), **main, **self._others(s["behind"])},
            "endpoint": {
                "runs_on": "box",
                "port": s["port"] or self.port,
                "keys": [key],
                "timeouts": s["timeouts"],
                **s["endpoint"],
            },
        }
        return json.dumps(stack)

    def _others(self, deployments: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """Deployments that serve their own name."""
        return {name: self._deployment({**SETTINGS, **more}, name) for name, more in deployments.items()}

    def _deployment(self, s: Mapping[str, Any], served_name: str) -> dict[str, Any]:
        sha256 = hashlib.sha256(self.model.read_bytes()).hexdigest()
        return {
            "engine": "llama-cpp",
            "version": s["version"],
            "runs_on": "box",
            "model": {"source": s["source"], "sha256": sha256, "served_name": served_name},
            "replicas_per_host": s["replicas"],
            "context_tokens": s["context"],
            "slots": s["slots"],
            "options": s["options"],
            **s["container"],
            "health": {
                "ready_within_s": s["ready_within_s"],
                "drain_s": s["drain_s"],
            },
            **{name: s[name] for name in ("binary", "renamed_from") if s[name]},
        }


def parent(pid: int) -> int:
    """The process that made it; 0 for one that is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def tiny(part: ReplicaPart, memory_mib: int) -> ReplicaPart:
    """The part with another estimate of its memory, which decides whether the next release fits beside it."""
    return replace(part, memory_mib=memory_mib)


def install_standin(folder: Path, journal: Path) -> None:
    """A `llama-server` in `folder` that is the stand-in and notes in `journal` what happens to it."""
    program = folder / "llama-server"
    noting = f"export STANDIN_JOURNAL={journal}"
    program.write_text(f'#!/bin/sh\n{noting}\nexec {sys.executable} -S -E {STANDIN} "$@"\n')
    program.chmod(0o755)


def install_real_engine(world: World) -> None:
    """The real `llama-server` in the stand-in's place, with one thread: it has the cores for itself seldom."""
    program = world.tools / "llama-server"
    engine = require_tool("llama-server")
    program.unlink()
    program.symlink_to(engine)
    world.settings["options"] = {"threads": 1}


def all_free(plan: Plan) -> bool:
    """Whether nobody listens on any port of the stack."""
    return not any(is_taken(port) for port in ports_of(plan))


def ports_of(plan: Plan) -> set[int]:
    """Where programs of the stack listen, or may listen later."""
    return {plan.gateways[0].port, plan.gateways[0].metrics_port, *(p for r in plan.replicas for p in r.ports.values())}


def is_taken(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _lives(path: Path) -> bool:
    """Logs, locks and sockets change by themselves."""
    return path.suffix == ".log" or path.name in ("lease", "busy", "lease.note", "host", "log")
