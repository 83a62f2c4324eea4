"""The hosts whose engines stand behind one gateway, and where it reaches them. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

from enginehouse.engines import engines
from enginehouse.engines.base import KEY_FILE, LISTENS_ON, Args, Engine
from enginehouse.planner.addresses import LOOPBACK
from enginehouse.planner.allocate import HostAllocation
from enginehouse.planner.parts import Backend, Server, Side
from enginehouse.spec.hosts import Host, behind, reached_at
from enginehouse.spec.model import Spec
from enginehouse.spec.names import replica_names
from enginehouse.spec.variants import on_host

T = TypeVar("T")

_SYMBOL = re.compile(f"(?<!@){re.escape(LISTENS_ON)}")
"""Not `@@{address}`, which is what a person's own text has in place of `@{address}`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """A host with engines behind a gateway, and the stack as it is there."""

    host: Host
    spec: Spec
    ports: HostAllocation
    address: str | None
    """Where the gateway reaches them; None: it is on this host, too."""

    def replicas(self, deployment: str) -> tuple[str, ...]:
        if self.spec.deployments[deployment].runs_on != self.host.group:
            return ()
        return replica_names(deployment, self.host.name, self.spec.deployments[deployment].replicas_per_host)


def stands_of(spec: Spec, front: Host, ports: Mapping[str, HostAllocation]) -> list[Stand]:
    """Sorted by the hosts' names: their order in the file means nothing."""
    return [
        Stand(
            host=host,
            spec=on_host(spec, host),
            ports=ports[host.name],
            address=None if host.name == front.name else reached_at(host),
        )
        for host in sorted(behind(spec, front), key=lambda host: host.name)
    ]


def backend(name: str, stands: Sequence[Stand]) -> Backend:
    """Slots and context are the largest of any host; one with fewer slots says so at its servers."""
    slots = max(stand.spec.deployments[name].slots for stand in stands)
    return Backend(
        name=backend_name(name),
        deployment=name,
        slots=slots,
        context_tokens=max(stand.spec.deployments[name].context_tokens for stand in stands),
        sends_key=any(_asks(stand, engines()[stand.spec.deployments[name].engine]) for stand in stands) or None,
        servers=tuple(
            _server(stand, replica, side, slots, stand.spec.deployments[name].slots)
            for stand in stands
            for replica in stand.replicas(name)
            for side in Side
        ),
    )


def _server(stand: Stand, replica: str, side: Side, most: int, slots: int) -> Server:
    return Server(
        name=f"{replica}-{side}",
        replica=replica,
        side=side,
        port=stand.ports.replicas[replica][side.value],
        host=stand.host.name if stand.address else None,
        address=stand.address,
        slots=slots if slots != most else None,
    )


def backend_name(deployment: str) -> str:
    return f"be_{deployment}"


def listening(stand: Stand, given: Mapping[str, T]) -> dict[str, T]:
    """What an engine is given, with `LISTENS_ON` as the address. Filled in here: digests are taken over it."""
    address = stand.address or LOOPBACK
    return {name: _replaced(value, address) for name, value in given.items()}


def key_args(stand: Stand, engine: Engine) -> Args:
    """What makes an engine ask for a key, where others than its gateway may reach it."""
    return {engine.key_file_flag: KEY_FILE} if engine.key_file_flag and _asks(stand, engine) else {}


def _asks(stand: Stand, engine: Engine) -> bool:
    return bool(stand.address and engine.key_file_flag)


def _replaced(value: T, address: str) -> T:
    return cast(T, _SYMBOL.sub(address, value)) if isinstance(value, str) else value
