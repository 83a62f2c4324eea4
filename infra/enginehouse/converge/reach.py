"""How an endpoint is reached by whoever proves it: on its machine, or from here, over the network."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Protocol

from enginehouse.connectors.base import Connector
from enginehouse.errors import ConnectorError, Unreachable
from enginehouse.planner.parts import EndpointPart
from enginehouse.planner.seals import VerifyFrom


class Reach(Protocol):
    """The part of a connector that a proof needs."""

    def dial(self, address: str, *, deadline_s: float) -> socket.socket: ...


def reach(part: EndpointPart, connector: Connector) -> Reach:
    """What dials the endpoint, whose machine `connector` leads to."""
    if part.seal is None or part.seal.verify_from is not VerifyFrom.CONTROLLER:
        return connector
    return _FromHere(public=part.public_address, connector=connector)


@dataclass(frozen=True, slots=True, kw_only=True)
class _FromHere:
    """Resolves and connects as a client of this network would, without any proxy."""

    public: str
    connector: Connector

    def dial(self, address: str, *, deadline_s: float) -> socket.socket:
        """Connect to the public address; `address` is where the machine itself reaches it, which tells what is wrong.

        Raises `Unreachable`, and `ConnectorError` if the machine itself does reach it.
        """
        host, _, port = self.public.rpartition(":")
        try:
            return socket.create_connection((host.strip("[]"), int(port)), timeout=deadline_s)
        except socket.gaierror:
            why = f"nobody is called {host} here"
        except OSError:
            why = f"nothing answers at {self.public} from here"
        try:
            self.connector.dial(address, deadline_s=deadline_s).close()
        except ConnectorError:
            raise Unreachable(why) from None
        raise ConnectorError(
            f"{why}, but the gateway's own machine reaches it; if clients have a way that this machine has not, "
            "write `verify_from: gateway`"
        )
