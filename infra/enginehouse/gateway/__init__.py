"""The gateway: HAProxy's files as a pure function of a part, its commands, its runtime socket and its statistics."""

from enginehouse.gateway.config import files
from enginehouse.gateway.runtime import Refused, RuntimeSocket, ServerState
from enginehouse.gateway.stats import BackendRow, ServerRow, parse_backends, parse_stats

__all__ = [
    "BackendRow",
    "Refused",
    "RuntimeSocket",
    "ServerRow",
    "ServerState",
    "files",
    "parse_backends",
    "parse_stats",
]
