"""HAProxy's runtime socket: which servers take requests, changed and read while it runs.

After a reload the socket belongs to the new worker. Requests that an old worker still holds never see what is set here
(measured 2026-11, HAProxy 2.8.25), so set servers first and reload later.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING

from enginehouse.errors import DeadlineExceeded, EnginehouseError, Unreachable
from enginehouse.gateway.stats import ServerRow, parse_stats

if TYPE_CHECKING:
    from enginehouse.connectors.base import Connector

DEADLINE_S = 5.0
"""HAProxy answers from memory, within milliseconds; this is for a machine that is swapping."""

_NAME = re.compile(r"[A-Za-z0-9._:-]+")
_SERVERS_ONLY = "show stat -1 4 -1"


class ServerState(StrEnum):
    """What a server may be told to be, in HAProxy's words."""

    READY = "ready"
    """Takes requests at once: HAProxy believes it until a check fails, so make sure that the engine is ready first."""
    DRAIN = "drain"
    """Finishes what it has and takes nothing new."""
    MAINT = "maint"
    """Not checked and not used."""


class Refused(EnginehouseError):
    """HAProxy did not do what it was told; the text is its answer."""

    def __init__(self, command: str, answer: str) -> None:
        self.command = command
        self.answer = answer
        super().__init__(f"the gateway refused `{command}`: {answer}")


class RuntimeSocket:
    """Commands over one gateway's socket, a connection for each.

    Every method may raise `Unreachable`, `DeadlineExceeded` and `Refused`.
    """

    def __init__(self, connector: Connector, path: str, *, deadline_s: float = DEADLINE_S) -> None:
        self._connector = connector
        self._address = f"unix:{path}"
        self._deadline_s = deadline_s

    def set_state(self, backend: str, server: str, state: ServerState) -> None:
        """Put the server in that state; done when this returns, and no change if it was in it already."""
        place = _place(backend, server)
        self._tell(f"set server {place} state {state.value}")
        if state is ServerState.READY:
            self._tell(f"set server {place} weight 100%")
            self._tell(f"enable health {place}")

    def pause(self, backend: str, server: str) -> None:
        """Give the server nothing new, and let requests that wait in the queue go on waiting, until a server is ready.

        Draining or stopping a backend's last server answers its whole queue with 503 (measured 2026-11, HAProxy 2.8.25;
        2.6.12 lets it wait). One of weight 0 that is no longer checked takes nothing and loses nothing, even while its
        engine is exchanged.
        """
        place = _place(backend, server)
        self._tell(f"set server {place} weight 0%")
        self._tell(f"disable health {place}")

    def servers(self) -> tuple[ServerRow, ...]:
        """Every server of every backend as it is now."""
        return parse_stats(self._ask(_SERVERS_ONLY))

    def sessions(self, backend: str, server: str) -> int:
        """How many requests the server works on. Raises `Refused` when there is no such server."""
        for row in self.servers():
            if (row.backend, row.server) == (backend, server):
                return row.sessions
        raise Refused(_SERVERS_ONLY, f"no server {backend}/{server}")

    def dump_state(self) -> str:
        """Text for the saved server state, which HAProxy reads on start and reload."""
        return self._ask("show servers state")

    def worker(self) -> int:
        """Process id of the worker that answers. A reload has taken effect when it is another one."""
        answer = self._ask("show info")
        found = re.search(r"^Pid: (\d+)$", answer, re.MULTILINE)
        if found is None:
            raise Refused("show info", answer.strip())
        return int(found[1])

    def _tell(self, command: str) -> None:
        answer = self._ask(command).strip()
        if answer:
            raise Refused(command, answer)

    def _ask(self, command: str) -> str:
        """The whole answer: without `prompt`, HAProxy ends the connection after one line of commands."""
        with self._connector.dial(self._address, deadline_s=self._deadline_s) as connection:
            try:
                connection.sendall(f"{command}\n".encode())
                return b"".join(iter(lambda: connection.recv(65536), b"")).decode(errors="replace")
            except TimeoutError as err:
                raise DeadlineExceeded(f"the gateway did not answer `{command}` within {self._deadline_s:g} s") from err
            except OSError as err:
                raise Unreachable(f"the gateway's runtime socket broke off during `{command}`") from err


def _place(backend: str, server: str) -> str:
    return f"{_checked(backend)}/{_checked(server)}"


def _checked(name: str) -> str:
    """The name, if it is one word: a blank, a `;` or a line end would start another argument or command."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"not a HAProxy name: {name!r}")
    return name
