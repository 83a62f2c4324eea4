"""The endpoint has a name that clients can call, and listens on an address that is safe without TLS."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from enginehouse.planner.parts import Scope
from enginehouse.planner.seals import TlsMode, VerifyFrom
from enginehouse.spec.codes import Code
from enginehouse.spec.hosts import HOST, on_host
from enginehouse.spec.model import Spec
from enginehouse.spec.problems import Problem, shown
from enginehouse.spec.source import KeyPath, Source

_LOCALHOST = "localhost"
_FORM = "write a bare address such as 127.0.0.1, ::1 or localhost"
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_NAME = re.compile(rf"(?=.{{1,253}}\Z)(?=.*[A-Za-z]){_LABEL}(\.{_LABEL})*")
"""A name in the DNS (RFC 1123, 2.1); what has no letter is an address or nothing."""


def check(spec: Spec, _: Source) -> Iterator[Problem]:
    if HOST in spec.endpoint.hostname and spec.endpoint.scope is Scope.SHARED:
        yield _bad_hostname(
            f"`{HOST}` means nothing in the one endpoint of a stack", "write `scope: each_host`, or a name"
        )
        return
    hostname, listen = spec.endpoint.hostname, spec.endpoint.listen
    without_tls = spec.endpoint.tls.mode is TlsMode.NONE
    if not hostname or any(sign in hostname for sign in "/[]@ ") or _has_port(hostname):
        yield _bad_hostname(f"{shown(hostname)} is not an address", f"{_FORM}; the port has a key of its own")
    elif without_tls and not _is_loopback(hostname):
        yield _tls_needed(("endpoint", "hostname"), hostname)
    elif not without_tls and not can_be_called(hostname):
        yield _bad_hostname(
            f"{shown(hostname)} is no name or address that clients could call",
            "write what stands in the certificate; where the gateway listens is said by `listen`",
        )
    if listen is not None and _address(listen) is None:
        yield Problem(
            path=("endpoint", "listen"),
            code=Code.BAD_LISTEN,
            summary=f"{shown(listen)} is not an IP address",
            hint="write an address of the machine, such as 10.1.0.11, or 0.0.0.0 or :: for all it has",
        )
    elif listen is not None and without_tls and not _is_loopback(listen):
        yield _tls_needed(("endpoint", "listen"), listen)
    if spec.endpoint.verify_from is VerifyFrom.CONTROLLER and _is_loopback(hostname) and _is_elsewhere(spec):
        yield _only_there(hostname, without_tls=without_tls)


def can_be_called(hostname: str) -> bool:
    """Whether it is a name or an address that a certificate may be for."""
    address = _address(hostname)
    return not address.is_unspecified if address else bool(_NAME.fullmatch(on_host(hostname, "host")))


def _bad_hostname(summary: str, hint: str) -> Problem:
    path = ("endpoint", "hostname")
    return Problem(
        path=path, code=Code.BAD_HOSTNAME, summary=summary, hint=hint, rests_on=(("endpoint", "tls", "mode"),)
    )


def _tls_needed(path: KeyPath, address: str) -> Problem:
    return Problem(
        path=path,
        code=Code.TLS_NEEDED,
        summary=f"without TLS the endpoint can't listen on {shown(address)}: keys could be read on the way",
        hint="use 127.0.0.1, ::1 or localhost, and let a tunnel or a proxy with TLS lead there; or choose a `tls.mode`",
        rests_on=(("endpoint", "tls", "mode"),),
    )


def _only_there(hostname: str, *, without_tls: bool) -> Problem:
    return Problem(
        path=("endpoint", "verify_from"),
        code=Code.TLS_NEEDED if without_tls else Code.BAD_HOSTNAME,
        summary=f"the controller can't prove an endpoint at {shown(hostname)}, which is each machine itself",
        hint="write `verify_from: gateway`, or a `tls.mode` and a `hostname` that leads to the machine",
        rests_on=(("endpoint", "tls", "mode"), ("endpoint", "hostname"), ("machines",)),
    )


def _is_elsewhere(spec: Spec) -> bool:
    machine = spec.machines.get(spec.endpoint.runs_on)
    return machine is not None and machine.local is None


def _has_port(hostname: str) -> bool:
    return hostname.count(":") == 1


def _is_loopback(hostname: str) -> bool:
    address = _address(hostname)
    return address.is_loopback if address else hostname == _LOCALHOST


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """None for what is a name or nothing; addresses with a zone (`%eth0`) mean something on one machine only."""
    try:
        return None if "%" in text else ipaddress.ip_address(text)
    except ValueError:
        return None
