"""What the gateway's statistics say about each replica: requests now, and since when it takes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from enginehouse.connectors.base import Connector
from enginehouse.converge.ask import ask
from enginehouse.gateway import BackendRow, ServerRow, parse_backends, parse_stats
from enginehouse.planner.parts import GatewayPart, ReplicaPart
from enginehouse.report.status import Load

ANSWER_S = 5.0
"""The page is made from memory; a gateway that takes longer is not well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """One look at the statistics."""

    servers: tuple[ServerRow, ...]
    backends: tuple[BackendRow, ...]

    def load(self, replica: ReplicaPart) -> Load:
        """Requests that the replica works on, on both sides.

        Requests wait in the gateway for any replica of a deployment, so its first one shows them all.
        """
        sides = tuple(self._sides(replica))
        waiting = sum(b.queued for b in self.backends if b.backend == replica.gateway.backend)
        queued = sum(side.queued for side in sides) + (waiting if replica.index == 0 else 0)
        return Load(running=sum(side.sessions for side in sides), queued=queued)

    def usable_for_s(self, replica: ReplicaPart) -> int | None:
        """Seconds since the replica's longest usable side became usable; None if none is."""
        return max((side.since_s for side in self._sides(replica) if side.is_usable()), default=None)

    def total(self) -> Load:
        """All requests, of all deployments."""
        return Load(
            running=sum(server.sessions for server in self.servers),
            queued=sum(s.queued for s in self.servers) + sum(b.queued for b in self.backends),
        )

    def _sides(self, replica: ReplicaPart) -> Iterator[ServerRow]:
        names = replica.gateway.servers.values()
        yield from (s for s in self.servers if s.backend == replica.gateway.backend and s.server in names)


def traffic(gateway: GatewayPart, connector: Connector) -> Traffic:
    """The statistics of a running gateway. Raises `ConnectorError` if it doesn't answer."""
    answer = ask(connector, f"tcp:127.0.0.1:{gateway.metrics_port}", "GET", "/stats;csv", deadline_s=ANSWER_S)
    text = answer.body.decode(errors="replace")
    return Traffic(servers=parse_stats(text), backends=parse_backends(text))
