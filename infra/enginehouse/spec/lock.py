"""The lock file as frozen values: which ports and GPUs a stack's replicas and its gateway keep when the stack file
changes.

`enginehouse lock` writes it, `planner.allocate` obeys it. A port that is not in it is given anew with each plan.
"""

# ruff: noqa: RUF009 - `key` makes a field

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from enginehouse.planner.parts import Scope
from enginehouse.spec.fields import key
from enginehouse.spec.source import KeyPath

FORMAT = 1
_LOWEST, _HIGHEST = 1024, 65535
"""Ports below the lowest need root (Linux: `net.ipv4.ip_unprivileged_port_start`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedGateway:
    """What the gateway keeps."""

    metrics_port: int | None = key(
        "Loopback port of its metrics.", example=20000, default=None, minimum=_LOWEST, maximum=_HIGHEST
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedPorts:
    """A loopback port for each side."""

    a: int = key("The port of side a.", example=20001, minimum=_LOWEST, maximum=_HIGHEST)
    b: int = key("The port of side b.", example=20002, minimum=_LOWEST, maximum=_HIGHEST)


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedReplica:
    """What a replica keeps."""

    ports: LockedPorts = key("The loopback ports of its sides.", example={"a": 20001, "b": 20002})
    gpus: tuple[int, ...] = key("Its GPUs.", example=[0], default=(), items={"minimum": 0, "maximum": 63})


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedHost:
    """What a host keeps that has an endpoint of its own."""

    metrics_port: int | None = key(
        "Loopback port of its gateway's metrics.", example=20000, default=None, minimum=_LOWEST, maximum=_HIGHEST
    )
    replicas: Mapping[str, LockedReplica] = key(
        "What each replica keeps, by its name.",
        example={"chat-laptop-0": {"ports": {"a": 20001, "b": 20002}}},
        default_factory=dict,
    )

    def ports(self) -> Iterator[tuple[KeyPath, int]]:
        """Every port, with its place below the host."""
        if self.metrics_port is not None:
            yield ("metrics_port",), self.metrics_port
        for name, replica in self.replicas.items():
            yield ("replicas", name, "ports", "a"), replica.ports.a
            yield ("replicas", name, "ports", "b"), replica.ports.b


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """All that a stack keeps. An entry of something that the stack no longer has keeps nothing."""

    enginehouse: int = key("Version of this format.", example=FORMAT, minimum=FORMAT, maximum=FORMAT)
    gateway: LockedGateway = key(
        "What the gateway keeps.", example={"metrics_port": 20000}, default_factory=LockedGateway
    )
    replicas: Mapping[str, LockedReplica] = key(
        "What each replica keeps, by its name.",
        example={"chat-laptop-0": {"ports": {"a": 20001, "b": 20002}}},
        default_factory=dict,
    )

    hosts: Mapping[str, LockedHost] = key(
        "What each host keeps, where every host has an endpoint of its own.",
        example={"shop-1": {"metrics_port": 20000}},
        default_factory=dict,
    )

    def of(self, host: str) -> LockedHost:
        """What that host keeps."""
        return self.hosts.get(host) or LockedHost(metrics_port=self.gateway.metrics_port, replicas=self.replicas)

    def ports(self) -> Iterator[Mapping[KeyPath, int]]:
        """Every port with its place in the file, machine by machine."""
        shared = dict(LockedHost(replicas=self.replicas).ports())
        if self.gateway.metrics_port is not None:
            shared = {("gateway", "metrics_port"): self.gateway.metrics_port, **shared}
        yield shared
        for host, entry in self.hosts.items():
            yield {("hosts", host, *path): port for path, port in entry.ports()}


NOTHING_LOCKED = Lock(enginehouse=FORMAT)


def locked(hosts: Mapping[str, LockedHost], scope: Scope) -> Lock:
    """The lock that keeps this; where the only endpoint of a stack is on its only host, that goes without saying."""
    if scope is Scope.EACH_HOST or len(hosts) > 1:
        return Lock(enginehouse=FORMAT, hosts=hosts)
    (entry,) = hosts.values()
    return Lock(enginehouse=FORMAT, gateway=LockedGateway(metrics_port=entry.metrics_port), replicas=entry.replicas)


def lock_text(lock: Lock, stack: str) -> str:
    """The file for `lock`: one line for each replica or host, sorted, so that Git merges what two people add."""
    rows = [
        f"# Written by `enginehouse lock {stack}`. It belongs in Git: without it, an edit of the stack may move ports.",
        f"enginehouse: {lock.enginehouse}",
        *([f"gateway: {{metrics_port: {port}}}"] if (port := lock.gateway.metrics_port) is not None else []),
        *(["replicas:"] if lock.replicas else []),
        *(f"  {entry}" for entry in _replicas(lock.replicas)),
        *(["hosts:"] if lock.hosts else []),
        *(f"  {name}: {_host(lock.hosts[name])}" for name in sorted(lock.hosts)),
    ]
    return "\n".join(rows) + "\n"


def _replicas(replicas: Mapping[str, LockedReplica]) -> Iterator[str]:
    for name in sorted(replicas):
        ports, gpus = replicas[name].ports, ", ".join(map(str, replicas[name].gpus))
        yield f"{name}: {{ports: {{a: {ports.a}, b: {ports.b}}}{f', gpus: [{gpus}]' if gpus else ''}}}"


def _host(entry: LockedHost) -> str:
    metrics = [f"metrics_port: {entry.metrics_port}"] if entry.metrics_port is not None else []
    replicas = [f"replicas: {{{', '.join(_replicas(entry.replicas))}}}"] if entry.replicas else []
    return f"{{{', '.join([*metrics, *replicas])}}}"
