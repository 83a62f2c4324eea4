"""Ways to a machine, and the pool of those that are open."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from enginehouse.connectors.base import Connector
from enginehouse.connectors.local import LocalConnector
from enginehouse.errors import Cancelled
from enginehouse.planner.parts import Connection, ConnectionKind, Part

Opener = Callable[[str, Connection], Connector]
"""Makes a connector for a host of that name; it connects when it is first used."""


def _over_ssh(host: str, connection: Connection) -> Connector:
    from enginehouse.connectors.ssh import SshConnector  # takes 0.2 s to import, which a local stack need not wait for

    assert connection.ssh is not None, "the kind says that it is there"
    return SshConnector(host, connection.ssh)


OPENERS: Mapping[ConnectionKind, Opener] = {
    ConnectionKind.LOCAL: lambda host, _: LocalConnector(host),
    ConnectionKind.SSH: _over_ssh,
}


class Connectors:
    """One connector per machine, made when first asked for and shared by all threads, until `close`."""

    def __init__(self, openers: Mapping[ConnectionKind, Opener] = OPENERS) -> None:
        self._openers = openers
        self._lock = threading.Lock()
        self._open: dict[tuple[str, Connection], Connector] = {}
        self._closed = False

    def connect(self, part: Part) -> Connector:
        """The connector to the part's machine. Raises `Cancelled` after `close`: who is late must not begin anew."""
        key = part.host, part.connection
        with self._lock:
            if self._closed:
                raise Cancelled(f"{part.host}: stopped")
            if key not in self._open:
                self._open[key] = self._openers[part.connection.kind](*key)
            return self._open[key]

    def close(self) -> None:
        """End whatever runs on any machine; idempotent."""
        with self._lock:
            self._closed = True
            connectors = tuple(self._open.values())
        for connector in connectors:
            connector.close()
