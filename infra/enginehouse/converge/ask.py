"""One HTTP request, also over TLS, to an address that perhaps only the machine itself reaches."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from enginehouse.converge.reach import Reach
from enginehouse.errors import DeadlineExceeded, Unreachable


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    body: bytes

    def json(self) -> Any:
        """The body as JSON; None if it is not."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """The certificate that has to be shown: for that name or address, and leading to that one in PEM."""

    hostname: str
    anchor: str
    """Empty: none is known, so none is accepted."""

    def context(self) -> ssl.SSLContext:
        """What refuses every other. An anchor need not be a root: a stack may end its chain before that."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self.anchor:
            context.load_verify_locations(cadata=self.anchor)
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        return context


class _Dialled(http.client.HTTPConnection):
    """A connection whose socket is dialled by somebody else."""

    def __init__(self, reached: Reach, address: str, shown: Shown | None, deadline_s: float) -> None:
        super().__init__(shown.hostname if shown else "localhost")
        self._reached = reached
        self._address = address
        self._shown = shown
        self.deadline_s = deadline_s

    def hurry(self, deadline_s: float) -> None:
        """Another deadline, for what is asked next."""
        self.deadline_s = deadline_s
        if self.sock:
            self.sock.settimeout(deadline_s)

    def connect(self) -> None:
        dialled = self._reached.dial(self._address, deadline_s=self.deadline_s)
        self.sock: socket.socket = _sealed(dialled, self._shown) if self._shown else dialled


def _sealed(dialled: socket.socket, shown: Shown) -> ssl.SSLSocket:
    try:
        return shown.context().wrap_socket(dialled, server_hostname=shown.hostname)
    except OSError:
        dialled.close()
        raise


def ask(
    reached: Reach,
    address: str,
    method: str,
    path: str,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    shown: Shown | None = None,
    deadline_s: float,
) -> Answer:
    """Send the request to `tcp:HOST:PORT` or `unix:PATH` and read the whole answer; over TLS if a certificate is shown.

    Raises `Unreachable` when nothing listens, the connection breaks, or a certificate is refused before anything is
    sent, `DeadlineExceeded` when a read or write takes longer than `deadline_s`.
    """
    with closing(_Dialled(reached, address, shown, deadline_s)) as connection:
        return _exchange(connection, method, path, body, headers)


class Kept:
    """Connections to one address that are used again: each request takes a free one, or makes one, from any thread."""

    def __init__(self, reached: Reach, address: str, shown: Shown | None) -> None:
        self._reached = reached
        self._address = address
        self._shown = shown
        self._free: list[_Dialled] = []

    def ask(
        self, method: str, path: str, *, body: bytes | None, headers: Mapping[str, str], deadline_s: float
    ) -> Answer:
        """See `ask`. A connection that was closed meanwhile is replaced."""
        while True:
            try:
                connection, used = self._free.pop(), True
                connection.hurry(deadline_s)
            except IndexError:
                connection, used = _Dialled(self._reached, self._address, self._shown, deadline_s), False
            try:
                answer = _exchange(connection, method, path, body, headers)
            except BaseException as err:
                connection.close()
                if used and isinstance(err, Unreachable):
                    continue
                raise
            self._free.append(connection)
            return answer

    def close(self) -> None:
        for connection in self._free:
            connection.close()


def _exchange(
    connection: _Dialled, method: str, path: str, body: bytes | None, headers: Mapping[str, str] | None
) -> Answer:
    try:
        connection.request(method, path, body=body, headers=dict(headers or {}))
        response = connection.getresponse()
        return Answer(status=response.status, body=response.read())
    except ssl.SSLCertVerificationError as err:
        raise Unreachable(f"its certificate is refused: {err.verify_message}") from err
    except ssl.SSLError as err:
        raise Unreachable("it does not speak TLS as it should") from err
    except TimeoutError as err:
        raise DeadlineExceeded(f"no answer to {method} {path} within {connection.deadline_s:g} s") from err
    except (OSError, http.client.HTTPException) as err:
        raise Unreachable(f"the connection broke off during {method} {path}") from err
