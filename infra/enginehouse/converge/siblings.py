"""The other replicas of a deployment, as its gateway and their machines tell: who is drained, and who is only held
back. Pure."""

from __future__ import annotations

from collections import defaultdict
from typing import cast

from enginehouse.converge.facts import Facts
from enginehouse.converge.runners import state_of
from enginehouse.gateway.runtime import ServerState
from enginehouse.planner.parts import GatewayPart, ReplicaPart, Server


def drained(part: ReplicaPart, facts: Facts) -> dict[str, str]:
    """Those that shall get none of the deployment's requests, with the order that says so."""
    names = {server.replica for server in _siblings(part, facts)}
    return {name: str(order) for name, order in facts.drained_others.items() if name in names}


def resting(part: ReplicaPart, facts: Facts) -> dict[str, str | None]:
    """Those that the running gateway gives no requests although it was told to know them, and their hosts.

    They are drained, or held back by an exchange, which a run that died leaves so. None: the gateway's own host.
    """
    states: defaultdict[str, set[ServerState]] = defaultdict(set)
    rows = {row.server: state_of(row) for row in facts.servers or () if row.backend == part.gateway.backend}
    servers = [server for server in _siblings(part, facts) if server.name in rows]
    for server in servers:
        states[server.replica].add(rows[server.name])
    away = {name for name, all_ in states.items() if ServerState.DRAIN in all_ and ServerState.READY not in all_}
    return {server.replica: server.host for server in servers if server.replica in away}


def held_back(part: ReplicaPart, facts: Facts) -> frozenset[str]:
    """Those that rest without an order: only their own exchange gives them requests again."""
    ordered = facts.drained_others.keys() | facts.unknown_others.keys()
    return frozenset(name for name in resting(part, facts) if name not in ordered)


def has_traffic(part: ReplicaPart, facts: Facts) -> bool:
    """Whether the running gateway gives the part itself requests."""
    mine = {server.name for server in _servers(part, facts) if server.replica in _names(part)}
    return any(row.server in mine and state_of(row) is ServerState.READY for row in facts.servers or ())


def _siblings(part: ReplicaPart, facts: Facts) -> tuple[Server, ...]:
    return tuple(server for server in _servers(part, facts) if server.replica not in _names(part))


def _servers(part: ReplicaPart, facts: Facts) -> tuple[Server, ...]:
    """Those of the part's backend, as the gateway was converged last."""
    gateway = facts.others.get(part.gateway.part)
    backends = cast(GatewayPart, gateway.part).backends if gateway else ()
    return tuple(server for backend in backends if backend.name == part.gateway.backend for server in backend.servers)


def _names(part: ReplicaPart) -> tuple[str | None, ...]:
    return part.name, part.renamed_from
