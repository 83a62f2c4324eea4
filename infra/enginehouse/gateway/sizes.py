"""How large the gateway's buffers, queues and connection limits are for a set of backends."""

from __future__ import annotations

from dataclasses import dataclass

from enginehouse.planner.parts import GatewayPart

BYTES_PER_TOKEN = 6
"""JSON text of one token: about four characters, plus escapes and letters of several bytes."""
HEADROOM_BYTES = 32 * 1024
"""What a buffer holds beside the body: request headers, HAProxy's `maxrewrite` (1 KiB) and its block table."""
SMALLEST_BODY_BYTES = 256 * 1024
LARGEST_BODY_BYTES = 16 * 1024 * 1024
DEFAULT_BUFFER_BYTES = 16 * 1024
"""HAProxy's own default (`haproxy -vv`, 2.6.12 and 2.8.25)."""

BUFFER_BUDGET_BYTES = 2 * 1024**3
"""What all buffers together may take when every connection holds both of its own."""
FEWEST_CONNECTIONS = 256
USUAL_CONNECTIONS = 1024
"""Fits a hard limit of 4096 open files, the lowest in common use: two for each connection, and some for listeners and
checks."""
CONNECTIONS_PER_SLOT = 4
"""One request in progress, one waiting, two idle keep-alive connections."""

HELD_PER_SLOT = 16
FEWEST_HELD = 64
"""Requests a backend may park while none of its servers is usable: more could not be answered in a sensible time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    buffer_bytes: int
    routable_bytes: int | None
    """Largest body that is routed; None with one backend, where nothing in the body decides the route."""
    connections: int


def sizes(part: GatewayPart) -> Sizes:
    """Sizes for the part; the buffer holds the largest body that must be read to find its model."""
    body = _body_bytes(part) if len(part.backends) > 1 else None
    buffer = body + HEADROOM_BYTES if body else DEFAULT_BUFFER_BYTES
    return Sizes(buffer_bytes=buffer, routable_bytes=body, connections=_connections(part, buffer))


def held(slots: int, replicas: int) -> int:
    """How many requests a backend holds at most while it has no usable server."""
    return max(FEWEST_HELD, HELD_PER_SLOT * slots * replicas)


def _body_bytes(part: GatewayPart) -> int:
    largest = max(backend.context_tokens for backend in part.backends) * BYTES_PER_TOKEN
    return min(max(largest, SMALLEST_BODY_BYTES), LARGEST_BODY_BYTES)


def _connections(part: GatewayPart, buffer_bytes: int) -> int:
    slots = sum(backend.slots * len({server.replica for server in backend.servers}) for backend in part.backends)
    affordable = max(BUFFER_BUDGET_BYTES // (2 * buffer_bytes), FEWEST_CONNECTIONS)
    return min(max(USUAL_CONNECTIONS, CONNECTIONS_PER_SLOT * slots), affordable)
