"""One HTTP request to an address that only the machine itself can reach."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from enginehouse.connectors.base import Connector
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


class _Dialled(http.client.HTTPConnection):
    """A connection whose socket comes from a connector."""

    def __init__(self, connector: Connector, address: str, deadline_s: float) -> None:
        super().__init__("localhost")
        self._connector = connector
        self._address = address
        self._deadline_s = deadline_s

    def connect(self) -> None:
        self.sock: socket.socket = self._connector.dial(self._address, deadline_s=self._deadline_s)


def ask(
    connector: Connector,
    address: str,
    method: str,
    path: str,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    deadline_s: float,
) -> Answer:
    """Send the request to `tcp:HOST:PORT` or `unix:PATH` and read the whole answer.

    Raises `Unreachable` when nothing listens or the connection breaks, `DeadlineExceeded` when a read or write takes
    longer than `deadline_s`.
    """
    connection = _Dialled(connector, address, deadline_s)
    try:
        connection.request(method, path, body=body, headers=dict(headers or {}))
        response = connection.getresponse()
        return Answer(status=response.status, body=response.read())
    except TimeoutError as err:
        raise DeadlineExceeded(f"no answer to {method} {path} within {deadline_s:g} s") from err
    except (OSError, http.client.HTTPException) as err:
        raise Unreachable(f"the connection broke off during {method} {path}") from err
    finally:
        connection.close()
