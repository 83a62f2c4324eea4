"""Where an endpoint listens, what it is called, and how it proves that. Pure."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

from enginehouse.planner.addresses import host_and_port
from enginehouse.planner.parts import GatewayPart
from enginehouse.planner.seals import Seal, Tls, TlsMode, VerifyFrom
from enginehouse.spec import hosts
from enginehouse.spec.endpoint import Endpoint

EVERYWHERE = "0.0.0.0"
_LOOPBACK = {EVERYWHERE: "127.0.0.1", "::": "::1"}


def named_on(endpoint: Endpoint, host: str) -> Endpoint:
    """The endpoint with the names that it has on one host."""
    tls = replace(endpoint.tls, names=tuple(hosts.on_host(name, host) for name in endpoint.tls.names))
    return replace(endpoint, hostname=hosts.on_host(endpoint.hostname, host), tls=tls)


def listens_on(endpoint: Endpoint) -> str:
    """The gateway's address on its machine: a name that clients call says nothing about that."""
    return endpoint.listen or (endpoint.hostname if _is_of_machine(endpoint.hostname) else EVERYWHERE)


def chain_of(endpoint: Endpoint) -> str:
    """PEM of the certificate that the gateway is given, and of those that lead to its root; empty without one."""
    return endpoint.tls.given.chain if endpoint.tls.given else ""


def tls_of(endpoint: Endpoint) -> Tls | None:
    """None for plain HTTP."""
    tls = endpoint.tls
    if tls.mode is TlsMode.OWN_CA:
        listen = () if listens_on(endpoint) in _LOOPBACK else (listens_on(endpoint),)
        names = dict.fromkeys((endpoint.hostname, *listen, *tls.names))
        return Tls(mode=tls.mode, names=tuple(map(_alternative, names)))
    if tls.given is None or tls.private_key is None:
        return None
    return Tls(mode=tls.mode, certificate=tls.given.sha256, ends=tls.given.ends, private_key=tls.private_key.secret)


def seal_of(endpoint: Endpoint, gateway: GatewayPart) -> Seal | None:
    """What a client is sure of; None for plain HTTP."""
    if gateway.tls is None:
        return None
    at = host_and_port(_LOOPBACK.get(gateway.address, gateway.address), gateway.port)
    return Seal(
        at=at,
        hostname=endpoint.hostname,
        anchor=endpoint.tls.given.anchor if endpoint.tls.given else None,
        verify_from=VerifyFrom.CONTROLLER if endpoint.verify_from is VerifyFrom.CONTROLLER else None,
    )


def url_of(endpoint: Endpoint, gateway: GatewayPart) -> str:
    if gateway.tls is None:
        return f"http://{host_and_port(gateway.address, gateway.port)}"
    return f"https://{host_and_port(endpoint.hostname, gateway.port)}"


def _alternative(name: str) -> str:
    """As openssl writes it in a subjectAltName."""
    return f"IP:{name}" if _is_address(name) else f"DNS:{name}"


def _is_of_machine(hostname: str) -> bool:
    return hostname == "localhost" or _is_address(hostname)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
