"""Ports: which loopback port each side of each replica gets, and the gateway's metrics port.

What is allocated already stays; the rest gets what is free, in the order of the stack file. Each stack has a block of
its own, so that two stacks on one machine rarely meet; when they do, converge names the owner of the port.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from enginehouse.planner.parts import Side
from enginehouse.spec.lock import FORMAT, Lock, LockedGateway, LockedPorts, LockedReplica
from enginehouse.spec.model import Spec
from enginehouse.spec.names import host_of, replica_name, replica_names

FIRST_PORT = 20000
"""Below Linux' ephemeral range, so that no outgoing connection takes an engine's port (from 32768, ip(7))."""
BLOCK = 200
"""Ports of one stack: a metrics port and two for each replica."""
BLOCKS = 60

_GATEWAY = ""
"""The gateway among the owners of ports; the others are replicas, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    metrics_port: int
    replicas: Mapping[str, Mapping[str, int]]
    """Replica part name to side to port."""

    def lock(self) -> Lock:
        """What keeps every port where it is."""
        replicas = {name: LockedReplica(ports=LockedPorts(**ports)) for name, ports in self.replicas.items()}
        return Lock(enginehouse=FORMAT, gateway=LockedGateway(metrics_port=self.metrics_port), replicas=replicas)


def allocate(spec: Spec, *known: Lock) -> Allocation:
    """Ports for everything in `spec`. Of several `known` allocations the first one wins.

    One that would give a port twice, or the endpoint's, is passed over.
    """
    replicas = dict(_replicas(spec))
    taken = {spec.endpoint.port}
    given: dict[str, tuple[int, ...]] = {}
    for owner, ports in (claim for lock in known for claim in _claims(lock, replicas)):
        if owner not in given and taken.isdisjoint(ports) and len({*ports}) == len(ports):
            given[owner] = ports
            taken.update(ports)
    free = (port for port in block(spec.name) if port not in taken)
    for owner in (_GATEWAY, *replicas):
        if owner not in given:
            given[owner] = tuple(islice(free, 1 if owner == _GATEWAY else len(Side)))
    return Allocation(
        metrics_port=given[_GATEWAY][0],
        replicas={name: dict(zip((side.value for side in Side), given[name], strict=True)) for name in replicas},
    )


def block(stack: str) -> range:
    """The ports of that stack; those behind its block are for more replicas than fit into it."""
    first = FIRST_PORT + BLOCK * (zlib.crc32(stack.encode()) % BLOCKS)
    return range(first, first + BLOCKS * BLOCK)


def _replicas(spec: Spec) -> Iterator[tuple[str, str | None]]:
    """Each replica's name with its former one, in the order of the file."""
    for name, deployment in spec.deployments.items():
        host, former = host_of(spec, deployment.runs_on), deployment.renamed_from
        for index, replica in enumerate(replica_names(spec, name)):
            yield replica, replica_name(former, host, index) if former else None


def _claims(lock: Lock, replicas: Mapping[str, str | None]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """What `lock` has for the gateway and these replicas; an entry under the present name comes before a former one."""
    if lock.gateway.metrics_port is not None:
        yield _GATEWAY, (lock.gateway.metrics_port,)
    for name, former in replicas.items():
        entry = lock.replicas.get(name) or lock.replicas.get(former or "")
        if entry:
            yield name, (entry.ports.a, entry.ports.b)
