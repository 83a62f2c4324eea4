"""Addresses as people write them."""

from __future__ import annotations

LOOPBACK = "127.0.0.1"
"""Where engines listen for a gateway of their own machine, and where that reaches them."""


def host_and_port(host: str, port: int) -> str:
    """`127.0.0.1:8080`, and an IPv6 address in brackets."""
    return f"{host_in_url(host)}:{port}"


def host_in_url(host: str) -> str:
    """An IPv6 address in brackets, everything else as it is."""
    return f"[{host}]" if ":" in host else host
