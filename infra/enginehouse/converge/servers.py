"""Which servers of a gateway shall take requests, and what is wrong with those that are there. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from enginehouse.converge.facts import Facts
from enginehouse.converge.runners import state_of
from enginehouse.converge.steps import Seat
from enginehouse.gateway.runtime import ServerState
from enginehouse.gateway.stats import WEIGHT, ServerRow
from enginehouse.planner.addresses import LOOPBACK
from enginehouse.planner.parts import GatewayPart, Server

_AS_GOOD = {ServerState.DRAIN: ServerState.MAINT}
"""A drained server whose engine was exchanged never took requests."""


def wanted(part: GatewayPart, facts: Facts) -> dict[Seat, ServerState]:
    """The side that each replica's manifest names takes requests, unless the replica is drained; the other never."""
    return {
        (seat := Seat(backend=backend.name, server=server.name)): _wanted_server(seat, server, facts)
        for backend in part.backends
        for server in backend.servers
    }


def faults(facts: Facts, wanted: Mapping[Seat, ServerState]) -> dict[Seat, str]:
    """What is wrong with servers, for those with which something is."""
    rows = _rows(facts)
    return {seat: fault for seat, state in wanted.items() if (fault := _fault(rows.get(seat), state))}


def moved(part: GatewayPart, facts: Facts) -> frozenset[str]:
    """Servers that the running configuration has with another address."""
    before = {row.server: row for row in facts.servers or ()}
    servers = (server for backend in part.backends for server in backend.servers)
    return frozenset(s.name for s in servers if s.name in before and _has_moved(before[s.name], s))


def _wanted_server(seat: Seat, server: Server, facts: Facts) -> ServerState:
    """Without its replica's manifest nobody knows better than the health check, so a server that passes it goes on."""
    manifest = facts.others.get(server.replica)
    if manifest is None and server.host in facts.away:
        return _of_away(_rows(facts).get(seat))
    if manifest is None:
        row = _rows(facts).get(seat)
        return ServerState.READY if row and row.is_usable() else ServerState.MAINT
    if manifest.side is not server.side:
        return ServerState.MAINT
    if server.replica in facts.hung_others:
        return _of_hung(_rows(facts).get(seat))
    return ServerState.DRAIN if server.replica in facts.drained_others else ServerState.READY


def _of_away(row: ServerRow | None) -> ServerState:
    """Its machine can't be asked now: HAProxy's own checks know whether it answers, so it is left as it is."""
    return state_of(row) if row else ServerState.MAINT


def _of_hung(row: ServerRow | None) -> ServerState:
    """Taking and giving it traffic is the business of whoever heals it, so it is left as it is, or gets none."""
    return ServerState.READY if row and state_of(row) is ServerState.READY else ServerState.DRAIN


def _rows(facts: Facts) -> dict[Seat, ServerRow]:
    return {Seat(backend=row.backend, server=row.server): row for row in facts.servers or ()}


def _fault(row: ServerRow | None, wanted: ServerState) -> str:
    if row is None or state_of(row) not in (wanted, _AS_GOOD.get(wanted)):
        return f"not {wanted}"
    return f"weight {row.weight}, not {WEIGHT}" if row.is_usable() and row.weight != WEIGHT else ""


def _has_moved(row: ServerRow, server: Server) -> bool:
    return row.port not in (0, server.port) or row.address not in ("", server.address or LOOPBACK)
