"""Ports and GPUs: which port each side of each replica gets, the gateway's metrics port, and which GPUs each replica
gets, machine by machine.

What is allocated already stays; the rest gets what is free, in the order of the stack file. Each stack has a block of
its own, so that two stacks on one machine rarely meet; when they do, converge names the owner of the port.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from enginehouse.planner.gpus import share_out, wants
from enginehouse.planner.parts import Scope, Side
from enginehouse.spec.hosts import Host, behind, gateway_hosts
from enginehouse.spec.lock import Lock, LockedHost, LockedPorts, LockedReplica, locked
from enginehouse.spec.model import Spec
from enginehouse.spec.names import replica_name, replica_names
from enginehouse.spec.variants import on_host

FIRST_PORT = 20000
"""Below Linux' ephemeral range, so that no outgoing connection takes an engine's port (from 32768, ip(7))."""
BLOCK = 200
"""Ports of one stack: a metrics port and two for each replica."""
BLOCKS = 60

_GATEWAY = ""
"""The gateway among the owners of ports; the others are replicas, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostAllocation:
    """What the stack has on one machine."""

    metrics_port: int | None
    """None: no gateway is there."""
    replicas: Mapping[str, Mapping[str, int]]
    """Replica part name to side to port."""
    gpus: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """The same to its GPUs; those without any are left out."""

    def locked(self) -> LockedHost:
        replicas = {
            name: LockedReplica(ports=LockedPorts(**ports), gpus=self.gpus.get(name, ()))
            for name, ports in self.replicas.items()
        }
        return LockedHost(metrics_port=self.metrics_port, replicas=replicas)


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    hosts: Mapping[str, HostAllocation]
    scope: Scope

    def lock(self) -> Lock:
        """What keeps everything where it is."""
        return locked({name: ports.locked() for name, ports in self.hosts.items()}, self.scope)


def allocate(spec: Spec, *known: Lock) -> Allocation:
    """Ports and GPUs for everything in `spec`. Of several `known` allocations the first one wins.

    One that would give a port or a GPU twice, or the endpoint's port, is passed over.
    """
    gateways = gateway_hosts(spec)
    hosts = {host.name: host for front in gateways for host in (front, *behind(spec, front))}
    fronts = {front.name for front in gateways}
    given = {
        name: _on(host, on_host(spec, host), [lock.of(name) for lock in known], fronts=name in fronts)
        for name, host in hosts.items()
    }
    return Allocation(hosts=given, scope=spec.endpoint.scope)


def block(stack: str) -> range:
    """The ports of that stack; those behind its block are for more replicas than fit into it."""
    first = FIRST_PORT + BLOCK * (zlib.crc32(stack.encode()) % BLOCKS)
    return range(first, first + BLOCKS * BLOCK)


def _on(host: Host, spec: Spec, known: Sequence[LockedHost], *, fronts: bool) -> HostAllocation:
    """`fronts`: whether a gateway is on that host."""
    replicas = dict(_replicas(spec, host))
    taken = {spec.endpoint.port} if fronts else set()
    given: dict[str, tuple[int, ...]] = {}
    for owner, ports in (claim for entry in known for claim in _claims(entry, replicas)):
        if owner not in given and taken.isdisjoint(ports) and len({*ports}) == len(ports):
            given[owner] = ports
            taken.update(ports)
    free = (port for port in block(spec.name) if port not in taken)
    for owner in (_GATEWAY, *replicas):  # a place for the gateway everywhere: where it is moves no replica's ports
        if owner not in given:
            given[owner] = tuple(islice(free, 1 if owner == _GATEWAY else len(Side)))
    return HostAllocation(
        metrics_port=given[_GATEWAY][0] if fronts else None,
        replicas={name: dict(zip((side.value for side in Side), given[name], strict=True)) for name in replicas},
        gpus=share_out(wants(spec, host), (claim for entry in known for claim in _gpus(entry, replicas))),
    )


def _replicas(spec: Spec, host: Host) -> Iterator[tuple[str, str | None]]:
    """Each replica's name with its former one, in the order of the file."""
    for name, deployment in spec.deployments.items():
        former = deployment.renamed_from
        count = deployment.replicas_per_host if deployment.runs_on == host.group else 0
        for index, replica in enumerate(replica_names(name, host.name, count)):
            yield replica, replica_name(former, host.name, index) if former else None


def _claims(entry: LockedHost, replicas: Mapping[str, str | None]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """What is locked for the gateway and these replicas; an entry under the present name comes before a former one."""
    if entry.metrics_port is not None:
        yield _GATEWAY, (entry.metrics_port,)
    for name, found in _entries(entry, replicas):
        yield name, (found.ports.a, found.ports.b)


def _gpus(entry: LockedHost, replicas: Mapping[str, str | None]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """The same of GPUs."""
    return ((name, found.gpus) for name, found in _entries(entry, replicas))


def _entries(entry: LockedHost, replicas: Mapping[str, str | None]) -> Iterator[tuple[str, LockedReplica]]:
    for name, former in replicas.items():
        if found := entry.replicas.get(name) or entry.replicas.get(former or ""):
            yield name, found
