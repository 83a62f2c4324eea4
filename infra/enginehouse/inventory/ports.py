"""Ports that are listened on, and whose they are."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import replace

from enginehouse.inventory.answers import Values
from enginehouse.inventory.model import Listening

_CONTAINER = re.compile(r"(?:docker|libpod|cri-containerd)[-/](?P<id>[0-9a-f]{12})[0-9a-f]{52}(?:\.scope)?\Z")
_UNIT = re.compile(r"/(?P<name>[^/]+\.service)\Z")


def ports(values: Values) -> tuple[Listening, ...]:
    """By number; one that several processes listen on, or one at several addresses, is told once."""
    owners = dict(_owners(values.get("port_owners", "")))
    found: dict[int, Listening] = {}
    for address, port, inode in _sockets(values.get("ports", "")):
        before = found.get(port) or owners.get(inode, Listening(port=port, addresses=()))
        if before.pid is None and inode in owners:
            before = replace(owners[inode], addresses=before.addresses)
        addresses = before.addresses if address in before.addresses else (*before.addresses, address)
        found[port] = replace(before, port=port, addresses=addresses)
    return tuple(found[port] for port in sorted(found))


def _sockets(text: str) -> Iterator[tuple[str, int, str]]:
    """Address, port, inode."""
    for line in text.splitlines():
        place, inode = line.split()
        address, port = place.split(":")
        yield _address(address), int(port, 16), inode


def _address(digits: str) -> str:
    """The kernel prints words of four bytes as numbers of a machine that stores the lowest byte first."""
    words = [bytes.fromhex(digits[at : at + 8])[::-1] for at in range(0, len(digits), 8)]
    found = ipaddress.ip_address(b"".join(words))
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return str(mapped or found)


def _owners(text: str) -> Iterator[tuple[str, Listening]]:
    for line in filter(None, text.split("\n")):  # a program may be called like no line should
        inode, pid, command, group, program = (*line.split("\t"), "", "", "", "")[:5]
        owner = Listening(port=0, addresses=(), pid=int(pid), command=command, unit=_unit(group), program=program)
        yield inode, owner


def _unit(group: str) -> str:
    if container := _CONTAINER.search(group):
        return f"container {container['id']}"
    unit = _UNIT.search(group)
    return unit["name"] if unit else ""
