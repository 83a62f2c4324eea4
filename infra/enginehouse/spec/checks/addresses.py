"""The endpoint listens on an address that is safe without TLS."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from enginehouse.spec.codes import Code
from enginehouse.spec.model import Spec, TlsMode
from enginehouse.spec.problems import Problem, shown
from enginehouse.spec.source import Source

_LOCALHOST = "localhost"
_FORM = "write a bare address such as 127.0.0.1, ::1 or localhost"


def check(spec: Spec, _: Source) -> Iterator[Problem]:
    hostname = spec.endpoint.hostname
    if not hostname or any(sign in hostname for sign in "/[]@ ") or _has_port(hostname):
        summary = f"{shown(hostname)} is not an address"
        hint = f"{_FORM}; the port has a key of its own"
        yield Problem(path=("endpoint", "hostname"), code=Code.BAD_HOSTNAME, summary=summary, hint=hint)
    elif spec.endpoint.tls.mode is TlsMode.NONE and not _is_loopback(hostname):
        yield Problem(
            path=("endpoint", "hostname"),
            code=Code.TLS_NEEDED,
            summary=f"without TLS the endpoint can't listen on {shown(hostname)}: keys could be read on the way",
            hint="use 127.0.0.1, ::1 or localhost, and let a tunnel or a proxy with TLS lead there",
            rests_on=(("endpoint", "tls", "mode"),),
        )


def _has_port(hostname: str) -> bool:
    return hostname.count(":") == 1


def _is_loopback(hostname: str) -> bool:
    try:
        return hostname == _LOCALHOST or ipaddress.ip_address(hostname).is_loopback
    except ValueError:
        return False
