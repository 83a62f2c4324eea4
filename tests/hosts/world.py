"""A stack on a machine of the lab: nothing of it is on this machine but its files and the person."""

from __future__ import annotations

import contextlib
import http.client
import shutil
import socket
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from enginehouse.connectors import OPENERS, Connectors
from enginehouse.connectors.base import Connector
from enginehouse.errors import EnginehouseError
from enginehouse.planner.parts import ConnectionKind
from tests.converge.harness import SOON_S, STANDIN, Recorder, World, ports_of
from tests.hosts.lab import Machine

T = TypeVar("T", bound="HostWorld")
PORT = 8080
LOGIN = {"user": "ops", "become": "sudo"}
ENGINE = "/usr/local/bin/llama-server"


@dataclass(kw_only=True)
class HostWorld(World):
    """The machine is reached as the stack file says."""

    bare: Machine
    login: Mapping[str, Any]

    def reach(self) -> Connector:
        host = self.plan().hosts[0]
        return OPENERS[host.connection.kind](host.host, host.connection)

    def machine(self) -> Mapping[str, Any]:
        return {"ssh": {**self.login, "hosts": {"box": {"address": self.bare.address}}}}

    def connection(self, timeout_s: float = SOON_S) -> http.client.HTTPConnection:
        return Dialled(self.connector, self.settings["port"] or self.port, timeout_s)

    def another_run(self) -> None:
        """As after a new start of the command: nothing is open, nothing is held."""
        self.connectors.close()
        self.connector = Recorder(self.reach())
        self.connectors = Connectors(dict.fromkeys(ConnectionKind, lambda host, connection: self.connector))

    @property
    def our_ports(self) -> set[int]:
        return ports_of(self.plan())

    def heals(self) -> bool:
        """Whether the watchdog has still something to do there, as right after it gave an engine its traffic."""
        return self.bare.holds("ls /var/lib/enginehouse/*/*/run/hung")

    def install_standin(self) -> None:
        """An engine as somebody would have put it there. It needs the Python that comes with the supervisor."""
        self.bare.put("/opt/standin.py", STANDIN.read_bytes())
        self.bare.put(ENGINE, b'#!/bin/sh\nexec python3 -S -E /opt/standin.py "$@"\n')


class Dialled(http.client.HTTPConnection):
    """To a port of the machine, through the connector: the endpoint is on its loopback."""

    def __init__(self, connector: Connector, port: int, timeout_s: float) -> None:
        super().__init__("127.0.0.1", port, timeout=timeout_s)
        self._connector = connector

    def connect(self) -> None:
        try:
            self.sock: socket.socket = self._connector.dial(
                f"tcp:127.0.0.1:{self.port}", deadline_s=self.timeout or SOON_S
            )
        except EnginehouseError as error:
            raise ConnectionError(str(error)) from error


@contextlib.contextmanager
def world_of(kind: type[T], bare: Machine, **login: Any) -> Iterator[T]:
    """A world of a person whose files are gone afterwards; the machine is whoever's gave it."""
    folder = Path(tempfile.mkdtemp(prefix="eh-", dir="/tmp"))
    made = kind(folder=folder, port=PORT, tools=folder / "bin", bare=bare, login=login or LOGIN)
    try:
        yield made
    finally:
        made.connectors.close()
        shutil.rmtree(folder)


def host_world(bare: Machine, **login: Any) -> contextlib.AbstractContextManager[HostWorld]:
    return world_of(HostWorld, bare, **login)
