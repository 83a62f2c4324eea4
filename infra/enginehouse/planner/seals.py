"""How an endpoint proves whose it is, and what a client of it is sure of."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class TlsMode(StrEnum):
    """Where the certificate of an endpoint comes from."""

    NONE = "none"
    FILES = "files"
    OWN_CA = "own_ca"


class VerifyFrom(StrEnum):
    """Who proves an endpoint."""

    CONTROLLER = "controller"
    GATEWAY = "gateway"


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A certificate with those that lead to its root, as a file holds them that a stack names."""

    chain: str
    """PEM and nothing else."""
    anchor: str
    """The last of them, in PEM."""
    sha256: str
    """Of the first."""
    ends: str
    """When the first ends, ISO 8601 in UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """How a gateway proves whose it is, by a certificate among its files or by one that is made on its machine."""

    mode: TlsMode
    certificate: str | None = None
    """`files`: SHA-256 of the first certificate, so that a diff tells of another one in a line."""
    ends: str | None = None
    """`files`: when that ends, ISO 8601 in UTC."""
    private_key: str | None = None
    """`files`: the name of the secret."""
    names: tuple[str, ...] = ()
    """`own_ca`: what the certificate is for, such as `DNS:llm.example`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """What a client of an endpoint with TLS is sure of."""

    at: str
    """Where the machine itself reaches it: host and port."""
    hostname: str
    """The name or address that the certificate has to be for."""
    anchor: str | None
    """PEM of the certificate that the one shown has to lead to. None: of the stack's own authority, on the machine."""
    verify_from: VerifyFrom | None = None
    """Who proves that; None is a client on the machine itself."""
