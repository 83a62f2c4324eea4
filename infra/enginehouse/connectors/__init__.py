"""Ways to a machine, and the pool of those that are open."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from enginehouse.connectors.base import Connector
from enginehouse.connectors.environment import how_to_give, variable
from enginehouse.connectors.local import LocalConnector
from enginehouse.errors import Cancelled, Unreachable
from enginehouse.planner.parts import Connection, ConnectionKind, Part
from enginehouse.render.symbols import Secret

Opener = Callable[..., Connector]
"""Makes a connector for a host of that name and its connection, and with the password for sudo if that needs one; it
connects when it is first used."""
Passwords = Callable[[Part, str], Secret | None]
"""The value of a secret of the part's stack, by name."""


def from_environment(_: Part, name: str) -> Secret | None:
    """From this process's own environment."""
    value = os.environ.get(variable(name))
    return Secret(value) if value else None


def _over_ssh(host: str, connection: Connection, password: Secret | None = None) -> Connector:
    from enginehouse.connectors.ssh import SshConnector  # takes 0.2 s to import, which a local stack need not wait for

    assert connection.ssh is not None, "the kind says that it is there"
    return SshConnector(host, connection.ssh, password)


OPENERS: Mapping[ConnectionKind, Opener] = {
    ConnectionKind.LOCAL: lambda host, _: LocalConnector(host),
    ConnectionKind.SSH: _over_ssh,
}


class Connectors:
    """One connector per machine, made when first asked for and shared by all threads, until `close`."""

    def __init__(
        self, openers: Mapping[ConnectionKind, Opener] = OPENERS, passwords: Passwords = from_environment
    ) -> None:
        """What `passwords` has comes before what the caller of `connect` has, whose state may be old."""
        self._openers = openers
        self._passwords = passwords
        self._lock = threading.Lock()
        self._open: dict[tuple[object, ...], Connector] = {}
        self._closed = False

    def connect(self, part: Part, secrets: Mapping[str, Secret] = MappingProxyType({})) -> Connector:
        """The connector to the part's machine.

        Raises `Cancelled` after `close`: who is late must not begin anew. Raises `Unreachable` if sudo needs a password
        that has no value.
        """
        key = part.host, part.connection, *self._password(part, secrets)
        with self._lock:
            if self._closed:
                raise Cancelled(f"{part.host}: stopped")
            if key not in self._open:
                self._open[key] = self._openers[part.connection.kind](*key)
            return self._open[key]

    def reach(self, part: Part, host: str, secrets: Mapping[str, Secret] = MappingProxyType({})) -> Connector:
        """`connect`, to another machine that the part works with."""
        return self.connect(replace(part, host=host, connection=(part.elsewhere or {})[host]), secrets)

    def knows(self, host: str, connection: Connection) -> bool:
        """Whether a part of this run has led to that machine by just that way."""
        with self._lock:
            return any(key[:2] == (host, connection) for key in self._open)

    def _password(self, part: Part, secrets: Mapping[str, Secret]) -> tuple[Secret, ...]:
        """What sudo is given, if anything: another password is another connector."""
        name = part.connection.sudo_password
        if name is None:
            return ()
        if password := self._passwords(part, name) or secrets.get(name):
            return (password,)
        raise Unreachable(
            f"{part.host}: sudo needs a password, and the secret {name!r} has no value here; "
            f"{how_to_give(part.stack, name)}"
        )

    def close(self) -> None:
        """End whatever runs on any machine; idempotent."""
        with self._lock:
            self._closed = True
            connectors = tuple(self._open.values())
        for connector in connectors:
            connector.close()
