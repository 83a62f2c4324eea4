"""The access log: one JSON object for each request, built by HAProxy itself.

Neither headers, bodies nor query strings are in it: keys and prompts are there. What a client chose (method, path,
model) is cut when it is captured and escaped when it is written, so a line always parses. On the same stream, HAProxy
writes one line in its own words when a reload ends a worker ("Proxy api stopped"); everything else goes to stderr, and
from there to a log of its own.
"""

from __future__ import annotations

from collections.abc import Mapping

_TEXTS: Mapping[str, str] = {
    "time": '%[date,utime("%Y-%m-%dT%H:%M:%SZ")]',
    "id": "%ID",
    "client": "%[var(txn.client),json(utf8s)]",
    "method": "%[var(txn.method),json(utf8s)]",
    "path": "%[var(txn.path),json(utf8s)]",
    "model": "%[var(txn.model),json(utf8s)]",
    "backend": "%b",
    "server": "%s",
    "end": "%ts",
}
"""`end` is how the request ended: two letters of HAProxy's "Session state at disconnection", `--` when all was well.
What there was none of is `-`."""

_NUMBERS: Mapping[str, str] = {
    "status": "%ST",
    "queue_ms": "%Tw",
    "first_byte_ms": "%Tr",
    "total_ms": "%Ta",
    "bytes_in": "%U",
    "bytes_out": "%B",
}
"""Times are -1 when the request did not get that far. `queue_ms` counts parking and the wait for the body, too."""


def log_format() -> str:
    """The value of `log-format`, not yet quoted."""
    texts = [f'"{name}":"{value}"' for name, value in _TEXTS.items()]
    numbers = [f'"{name}":{value}' for name, value in _NUMBERS.items()]
    return "{" + ",".join(texts + numbers) + "}"
