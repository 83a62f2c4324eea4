"""A stack with one endpoint on two hosts, `box` with the gateway and `far`. Both are this machine, with a state folder
each, so the same ports can't be used on both, and both have the same id."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from enginehouse.connectors import Connectors
from enginehouse.connectors.base import Connector, Held, Result
from enginehouse.connectors.local import LocalConnector
from enginehouse.converge import completion
from enginehouse.errors import Unreachable
from enginehouse.planner.allocate import block
from enginehouse.planner.parts import ConnectionKind, ReplicaPart
from enginehouse.spec.lock import FORMAT, Lock, LockedHost, LockedPorts, LockedReplica
from tests.converge.harness import MODEL, Recorder, World

FAR = "far"
PORTS_OF_FAR = 60
"""Where in the stack's block they begin."""


class Way(Recorder):
    """A connector that can be cut."""

    cut = False
    closed = "-"
    """How addresses begin that nobody reaches from there."""

    def run(
        self,
        script: str,
        *,
        stdin: Iterable[bytes] = (),
        deadline_s: float,
        on_line: Callable[[str], None] | None = None,
    ) -> Result:
        self._check()
        return super().run(script, stdin=stdin, deadline_s=deadline_s, on_line=on_line)

    def dial(self, address: str, *, deadline_s: float) -> socket.socket:
        self._check()
        if address.startswith(self.closed):
            raise Unreachable(f"nothing answers at {address} on {self.host}")
        return super().dial(address, deadline_s=deadline_s)

    def hold(self, script: str, *, deadline_s: float) -> Held:
        self._check()
        return super().hold(script, deadline_s=deadline_s)

    def _check(self) -> None:
        if self.cut:
            raise Unreachable(f"{self.host}: no route")


@dataclass(kw_only=True)
class TwoHosts(World):
    """What is inherited is about `box`."""

    address: str = field(default_factory=lambda: own_address())
    front_host: str = "box"
    """Where the gateway is in the stack file. It can't be brought to `far`: its port is in use on this machine."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.lock = self._apart()
        self.ways = {host: Way(self._reach(host)) for host in ("box", FAR)}
        self.connector = self.ways["box"]
        self.connectors = Connectors(dict.fromkeys(ConnectionKind, lambda host, connection: self.ways[host]))

    def reset(self) -> None:
        super().reset()
        self.front_host = "box"
        self.lock = self._apart()
        for way in self.ways.values():
            way.cut, way.closed = False, "-"

    def yaml(self) -> str:
        stack = json.loads(super().yaml())
        hosts = {"box": {"address": "192.0.2.11"}, FAR: {"address": "far.example", "private_address": self.address}}
        stack["machines"] = {"rack": {"ssh": {"hosts": hosts}}}
        if self.front_host != "box":
            hosts["box"]["private_address"] = self.address
            stack["endpoint"]["runs_on"] = self.front_host
        for deployment in stack["deployments"].values():
            deployment["runs_on"] = "rack"
        return json.dumps(stack)

    def states(self) -> tuple[str, ...]:
        return (*super().states(), str(self.far_state))

    @property
    def far_state(self) -> Path:
        return self.folder / "f"

    def far_place(self, *names: str) -> Path:
        return Path(self.far_state, self.stack, *names)

    def far_manifest(self, part: str) -> dict[str, Any]:
        """What `far` remembers of a part."""
        found: dict[str, Any] = json.loads(self.far_place(part, "manifest.json").read_text())
        return found

    def on(self, host: str) -> ReplicaPart:
        """The first replica of that host."""
        return next(replica for replica in self.plan().replicas if replica.host == host)

    def usable(self) -> set[str]:
        """The servers that take requests."""
        return {row.server for row in self.runtime().servers() if row.is_usable()}

    def kill_all(self) -> None:
        self.kill(f"{FAR}/supervisor")
        super().kill_all()

    def _reach(self, host: str) -> Connector:
        environment: Mapping[str, str] = self.environment()
        if host == FAR:
            environment = {**environment, "ENGINEHOUSE_STATE": str(self.far_state)}
        return LocalConnector(host, environment=environment)

    def _apart(self) -> Lock:
        first = block(self.stack).start + PORTS_OF_FAR
        replicas = {
            f"{self.settings['deployment']}-{FAR}-{index}": LockedReplica(
                ports=LockedPorts(a=first + 2 * index, b=first + 2 * index + 1)
            )
            for index in range(4)
        }
        return Lock(enginehouse=FORMAT, hosts={FAR: LockedHost(replicas=replicas)})


def own_address() -> str:
    """An address of this machine that is not loopback. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        found: str = probe.getsockname()[0]
        return found


def keys(world: TwoHosts) -> list[str]:
    """What the gateway's machine has for the engines of the other one."""
    return world.place("engine_keys").read_text().splitlines()


def far_side(world: TwoHosts) -> str:
    return str(world.far_manifest("chat-far-0")["side"])


def direct(world: TwoHosts, key: str | None, path: str = completion.PATH, method: str = "POST") -> int:
    """The status that the other host's engine answers with, without its gateway."""
    port = world.far_manifest("chat-far-0")["part"]["ports"][far_side(world)]
    headers = {"Authorization": f"Bearer {key}"} if key is not None else {}
    body = json.dumps(completion.request(MODEL, 1)) if method == "POST" else None
    with closing(http.client.HTTPConnection(world.address, port, timeout=30)) as connection:
        connection.request(method, path, body=body, headers=headers)
        return connection.getresponse().status
