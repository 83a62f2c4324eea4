"""Addresses a machine can dial, written `tcp:HOST:PORT` (an IPv6 host in brackets) or `unix:PATH`."""

from __future__ import annotations

import socket

from enginehouse.errors import Unreachable


def connect(address: str, *, deadline_s: float) -> socket.socket:
    """Connect from here; the socket keeps `deadline_s` as its timeout.

    Raises `Unreachable` if nothing listens or answers, and `ValueError` if `address` is neither form.
    """
    kind, _, where = address.partition(":")
    try:
        if kind == "unix":
            return _connect_unix(where, deadline_s)
        if kind == "tcp":
            host, _, port = where.rpartition(":")
            return socket.create_connection((host.strip("[]"), int(port)), timeout=deadline_s)
    except OSError as error:
        raise Unreachable(f"nothing answers at {address}") from error
    raise ValueError(f"not an address: {address!r}; write tcp:HOST:PORT or unix:PATH")


def _connect_unix(path: str, deadline_s: float) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(deadline_s)
        connection.connect(path)
    except OSError:
        connection.close()
        raise
    return connection
