"""The hosts of a machine group: each with its name, which is its identity, and with where the stack file gives it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from enginehouse.spec.machines import SshHost
from enginehouse.spec.model import Spec
from enginehouse.spec.source import KeyPath


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One machine of a group."""

    name: str
    group: str
    ssh: SshHost | None
    """None: the machine this command runs on."""
    path: KeyPath


def hosts_of(spec: Spec, group: str) -> tuple[Host, ...]:
    """In the order of the file; none if there is no such group. This machine is called like its group."""
    machine = spec.machines.get(group)
    if machine is None:
        return ()
    if machine.ssh is None:
        return (Host(name=group, group=group, ssh=None, path=("machines", group)),)
    path = ("machines", group, "ssh", "hosts")
    return tuple(Host(name=n, group=group, ssh=ssh, path=(*path, n)) for n, ssh in machine.ssh.hosts.items())


def every_host(spec: Spec) -> Iterator[Host]:
    """Those of all groups."""
    for group in spec.machines:
        yield from hosts_of(spec, group)
