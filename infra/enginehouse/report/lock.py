"""What a new lock file changes, as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from enginehouse.report.lines import Line, Piece, Style, piece, table
from enginehouse.spec.lock import Lock, LockedHost
from enginehouse.spec.names import gateway_name

GATEWAY = "gateway"

Ports = Mapping[str, int | list[int]]
"""And GPUs."""


def lock_changes(before: Lock, after: Lock, held: Lock) -> tuple[Line, ...]:
    """A line for each entry that is new, differs or goes; none for those that stay. `held`: what runs now."""
    old, new, now = _entries(before), _entries(after), _entries(held)
    rows = [row for name in (*new, *(name for name in old if name not in new)) for row in _row(name, old, new, now)]
    return table(("what", "", "ports", ""), rows)[1:] if rows else ()


def _entries(lock: Lock) -> dict[str, Ports]:
    shared = LockedHost(metrics_port=lock.gateway.metrics_port, replicas=lock.replicas)
    machines = {GATEWAY: shared, **{gateway_name(host): lock.hosts[host] for host in sorted(lock.hosts)}}
    return {name: ports for gateway, entry in machines.items() for name, ports in _of(gateway, entry)}


def _of(gateway: str, entry: LockedHost) -> Iterator[tuple[str, Ports]]:
    if entry.metrics_port is not None:
        yield gateway, {"metrics": entry.metrics_port}
    for name, replica in sorted(entry.replicas.items()):
        yield name, {"a": replica.ports.a, "b": replica.ports.b, **({"gpus": [*replica.gpus]} if replica.gpus else {})}


def _row(
    name: str, old: Mapping[str, Ports], new: Mapping[str, Ports], now: Mapping[str, Ports]
) -> Iterator[tuple[Piece, ...]]:
    if old.get(name) == new.get(name):
        return
    if name not in new:
        yield piece(name), piece("gone", Style.FAINT), piece(_text(old[name])), piece("")
        return
    word = piece("changed", Style.WARNING) if name in old else piece("pinned", Style.GOOD)
    reasons = [f"before: {_text(old[name])}"] if name in old else []
    reasons += _about_now(new[name], now.get(name))
    yield piece(name), word, piece(_text(new[name])), piece("; ".join(reasons), Style.FAINT)


def _about_now(ports: Ports, now: Ports | None) -> list[str]:
    if now is None:
        return []
    return ["in use" if now == ports else f"in use, but not by it alone: {_text(now)}"]


def _text(ports: Ports) -> str:
    return ", ".join(f"{name} {port}" for name, port in ports.items())
