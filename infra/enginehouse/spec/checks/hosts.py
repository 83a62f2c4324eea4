"""A host is one machine with one name, and a stack has not too many of them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from enginehouse.spec.codes import Code
from enginehouse.spec.fields import HOST_PATTERN, MOST_HOSTS, PATTERNS
from enginehouse.spec.hosts import Host, every_host, is_of_network, ranges_of
from enginehouse.spec.model import Spec
from enginehouse.spec.problems import Problem, shown
from enginehouse.spec.ranges import downwards, expanded
from enginehouse.spec.source import KeyPath, Source


def check(spec: Spec, _: Source) -> Iterator[Problem]:
    yield from _none(spec)
    yield from _ranges(spec)
    yield from _too_many(spec)
    yield from _same_name_twice(spec)
    yield from _same_address_twice(spec)
    yield from _private_addresses(spec)


def _none(spec: Spec) -> Iterator[Problem]:
    for group, machine in spec.machines.items():
        if machine.ssh and machine.ssh.hosts is None and machine.ssh.hosts_file is None:
            yield Problem(
                path=("machines", group, "ssh"),
                on_key=True,
                code=Code.MISSING_KEY,
                summary=f'machines.{group}.ssh has no "hosts"',
                hint="for example `hosts: {gpu-1: {address: 10.1.0.11}}`, or `hosts_file: shops.txt`",
            )


def _ranges(spec: Spec) -> Iterator[Problem]:
    for path, text in ranges_of(spec):
        if backwards := downwards(text):
            summary, hint = f"{shown(backwards)} counts down and stands for nothing", "the smaller number comes first"
            yield Problem(path=path, code=Code.BAD_RANGE, summary=summary, hint=hint)
        wrong = next((name for name in expanded(text) if not re.fullmatch(HOST_PATTERN, name)), None)
        if wrong is not None:
            yield Problem(
                path=path,
                code=Code.MALFORMED_NAME,
                summary=f"{shown(wrong)} can't be the name of a host",
                hint=f"allowed: {PATTERNS[HOST_PATTERN]}; `hosts` as a mapping gives an address a name",
            )


def _too_many(spec: Spec) -> Iterator[Problem]:
    hosts = tuple(every_host(spec))
    if len(hosts) > MOST_HOSTS:
        yield Problem(
            path=hosts[MOST_HOSTS].path,
            on_key=True,
            code=Code.TOO_MANY,
            summary=f"the stack has more than {MOST_HOSTS} hosts",
            hint="make several stacks of them",
        )


def _same_name_twice(spec: Spec) -> Iterator[Problem]:
    first: dict[str, Host] = {}
    again: dict[tuple[KeyPath, KeyPath], list[str]] = {}
    for host in every_host(spec):
        earlier = first.setdefault(host.name, host)
        if earlier is not host:
            again.setdefault((host.path, earlier.path), []).append(host.name)
    for (path, earlier_path), names in again.items():
        others = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
        yield Problem(
            path=path,
            on_key=True,
            code=Code.DUPLICATE_HOST,
            summary=f"host {shown(names[0])} stands here again{others}",
            hint="a host's name is its identity in the whole stack; give this one another, or leave it out",
            related=((earlier_path, "the first one"),),
        )


def _same_address_twice(spec: Spec) -> Iterator[Problem]:
    """Behind different jump hosts, one address can be two machines."""
    first: dict[tuple[object, ...], Host] = {}
    for host in every_host(spec):
        settings = spec.machines[host.group].ssh
        if host.ssh is None or settings is None:
            continue
        way = (host.ssh.address or host.name, host.ssh.port, settings.jump)
        earlier = first.setdefault(way, host)
        if earlier.name != host.name:
            yield Problem(
                path=host.path,
                on_key=True,
                code=Code.SAME_MACHINE_TWICE,
                summary=f"host {shown(host.name)} is reached like {shown(earlier.name)}, at {shown(way[0])}",
                hint="one machine is one host of a stack",
                related=((earlier.path, "the other one"),),
            )


def _private_addresses(spec: Spec) -> Iterator[Problem]:
    """Each is one machine's, in a network."""
    first: dict[str, Host] = {}
    for host in every_host(spec):
        address = host.ssh.private_address if host.ssh else None
        if address is None:
            continue
        path = (*host.path, "private_address")
        earlier = first.setdefault(address, host)
        if not is_of_network(address):
            yield Problem(
                path=path,
                code=Code.BAD_PRIVATE_ADDRESS,
                summary=f"{shown(address)} is no IP address at which another machine reaches this one",
                hint="write the machine's address in the network of the gateway, such as 10.9.0.11",
            )
        elif earlier.name != host.name:
            yield Problem(
                path=path,
                code=Code.SAME_MACHINE_TWICE,
                summary=f"host {shown(host.name)} has the private address of {shown(earlier.name)}",
                hint="one machine is one host of a stack",
                related=(((*earlier.path, "private_address"), "the other one"),),
            )
