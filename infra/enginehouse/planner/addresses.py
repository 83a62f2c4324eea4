"""Addresses as people write them."""

from __future__ import annotations


def host_and_port(host: str, port: int) -> str:
    """`127.0.0.1:8080`, and an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
