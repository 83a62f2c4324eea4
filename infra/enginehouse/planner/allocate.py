"""Ports: which loopback port each side of each replica gets, and the gateway's metrics port.

Deterministic in the stack's name and the order of the file. Each stack has a block of its own, so that two stacks on
one machine rarely meet; when they do, converge names the owner of the port.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from enginehouse.planner.parts import Side

FIRST_PORT = 20000
"""Below Linux' ephemeral range, so that no outgoing connection takes an engine's port (from 32768, ip(7))."""
BLOCK = 200
"""Ports of one stack: a metrics port and two for each replica."""
BLOCKS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    metrics_port: int
    replicas: Mapping[str, Mapping[str, int]]
    """Replica part name to side to port."""


def allocate(stack: str, replicas: Iterable[str], taken: frozenset[int]) -> Allocation:
    """Ports for `replicas` in their order; `taken` are skipped (the endpoint's own port)."""
    first = FIRST_PORT + BLOCK * (zlib.crc32(stack.encode()) % BLOCKS)
    free = (port for port in range(first, first + BLOCKS * BLOCK) if port not in taken)
    metrics_port = next(free)
    return Allocation(
        metrics_port=metrics_port,
        replicas={name: {side.value: next(free) for side in Side} for name in replicas},
    )
