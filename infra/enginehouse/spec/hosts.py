"""The hosts of a machine group: each with its name, which is its identity, and with where the stack file gives it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from enginehouse.planner.parts import Scope
from enginehouse.spec.fields import MOST_HOSTS
from enginehouse.spec.machines import SshHost
from enginehouse.spec.model import Spec
from enginehouse.spec.ranges import expanded
from enginehouse.spec.source import KeyPath

HOST = "{host}"
"""In a name of an endpoint: the name of the host it is on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One machine of a group."""

    name: str
    group: str
    ssh: SshHost | None
    """None: the machine this command runs on."""
    path: KeyPath


def hosts_of(spec: Spec, group: str) -> tuple[Host, ...]:
    """In the order of the file; none if there is no such group. This machine is called like its group.

    Of a group with too many hosts, as many as show that.
    """
    machine = spec.machines.get(group)
    if machine is None:
        return ()
    if machine.ssh is None:
        return (Host(name=group, group=group, ssh=None, path=("machines", group)),)
    named = islice(_named(group, machine.ssh.hosts), MOST_HOSTS + 1)
    return tuple(Host(name=name, group=group, ssh=ssh, path=path) for name, ssh, path in named)


def gateway_hosts(spec: Spec) -> tuple[Host, ...]:
    """Those that have a gateway: all of a group, or one host by its name. A group of that name comes first."""
    place = spec.endpoint.runs_on
    named = (host for host in every_host(spec) if host.name == place)
    return hosts_of(spec, place) or tuple(islice(named, 1))


def behind(spec: Spec, gateway: Host) -> tuple[Host, ...]:
    """The hosts whose engines that gateway has: its own, or with one endpoint for all every host of a deployment."""
    if spec.endpoint.scope is Scope.EACH_HOST:
        return (gateway,)
    groups = dict.fromkeys(deployment.runs_on for deployment in spec.deployments.values())
    return tuple(host for group in groups for host in hosts_of(spec, group))


def reached_at(host: Host) -> str | None:
    """The address where another machine reaches the host's engines; None if the stack file does not tell.

    Engines have no key, so one where the whole internet may reach them has to be written as such an address.
    """
    if host.ssh is None:
        return None
    if written := host.ssh.private_address:
        return written if is_of_network(written) else None
    written = host.ssh.address or host.name
    return written if is_of_network(written) and not ipaddress.ip_address(written).is_global else None


def is_of_network(address: str) -> bool:
    """Whether it is the IP address of one machine in a network."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return not ("%" in address or found.is_loopback or found.is_unspecified or found.is_multicast)


def on_host(text: str, host: str) -> str:
    """A name of an endpoint as it is on one host."""
    return text.replace(HOST, host)


def hostnames(spec: Spec) -> tuple[str, ...]:
    """What clients call: one name, or one for each host."""
    hosts = gateway_hosts(spec) if HOST in spec.endpoint.hostname else ()
    return tuple(on_host(spec.endpoint.hostname, host.name) for host in hosts) or (spec.endpoint.hostname,)


def ranges_of(spec: Spec) -> Iterator[tuple[KeyPath, str]]:
    """Every text that stands for hosts by name alone."""
    for group, machine in spec.machines.items():
        if machine.ssh and not isinstance(machine.ssh.hosts, Mapping):
            yield from _ranges(group, machine.ssh.hosts)


def _named(
    group: str, hosts: Mapping[str, SshHost] | tuple[str, ...] | str | None
) -> Iterator[tuple[str, SshHost, KeyPath]]:
    """Name, way there and place of each."""
    if isinstance(hosts, Mapping):
        yield from ((name, ssh, (*_path(group), name)) for name, ssh in hosts.items())
        return
    for path, text in _ranges(group, hosts):
        yield from ((name, SshHost(), path) for name in expanded(text))


def _ranges(group: str, hosts: tuple[str, ...] | str | None) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(hosts, str):
        yield _path(group), hosts
    for index, text in enumerate(hosts if isinstance(hosts, tuple) else ()):
        if text:  # none where the shape was wrong
            yield (*_path(group), index), text


def _path(group: str) -> KeyPath:
    return ("machines", group, "ssh", "hosts")


def every_host(spec: Spec) -> Iterator[Host]:
    """Those of all groups."""
    for group in spec.machines:
        yield from hosts_of(spec, group)
