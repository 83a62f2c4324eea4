"""The lock file as frozen values: which ports a stack's replicas and its gateway keep when the stack file changes.

`enginehouse lock` writes it, `planner.allocate` obeys it. A port that is not in it is given anew with each plan.
"""

# ruff: noqa: RUF009 - `key` makes a field

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from enginehouse.spec.model import key
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

    def ports(self) -> Iterator[tuple[KeyPath, int]]:
        """Every port, with its place in the file."""
        if self.gateway.metrics_port is not None:
            yield ("gateway", "metrics_port"), self.gateway.metrics_port
        for name, replica in self.replicas.items():
            yield ("replicas", name, "ports", "a"), replica.ports.a
            yield ("replicas", name, "ports", "b"), replica.ports.b


NOTHING_LOCKED = Lock(enginehouse=FORMAT)


def lock_text(lock: Lock, stack: str) -> str:
    """The file for `lock`: one line for each replica, sorted, so that Git merges what two people add."""
    rows = [
        f"# Written by `enginehouse lock {stack}`. It belongs in Git: without it, an edit of the stack may move ports.",
        f"enginehouse: {lock.enginehouse}",
        *([f"gateway: {{metrics_port: {port}}}"] if (port := lock.gateway.metrics_port) is not None else []),
        *(["replicas:"] if lock.replicas else []),
        *(_row(name, lock.replicas[name].ports) for name in sorted(lock.replicas)),
    ]
    return "\n".join(rows) + "\n"


def _row(name: str, ports: LockedPorts) -> str:
    return f"  {name}: {{ports: {{a: {ports.a}, b: {ports.b}}}}}"
