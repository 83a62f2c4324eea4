"""The certificate that a stack names: read, and judged as the clients of its endpoint will.

It brings `cryptography`, so only a stack that has a certificate imports it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import enginehouse.certificates as certificates
from enginehouse.certificates import Certificate
from enginehouse.diagnostics import Severity
from enginehouse.planner.seals import Certificate as Given
from enginehouse.spec.codes import Code
from enginehouse.spec.hosts import hostnames
from enginehouse.spec.model import Spec
from enginehouse.spec.problems import Problem, shown
from enginehouse.spec.source import KeyPath

PATH: KeyPath = ("endpoint", "tls", "certificate")
MAX_BYTES = 64 * 1024
"""A chain of four RSA certificates has 8 KiB."""
SOON = timedelta(days=14)
"""Long enough to order the next one in working hours."""
_KEY = "PRIVATE KEY-----"
_RELATIVE = "the path starts at the folder of the stack file"
_FORM = "a certificate in PEM begins with a line `-----BEGIN CERTIFICATE-----`"
_KEY_INSIDE = Problem(
    path=PATH,
    code=Code.PRIVATE_KEY_IN_FILE,
    summary="the file holds a private key beside the certificate",
    hint="leave only certificates in it; the key belongs into the secret that `private_key` names",
)


def with_certificate(spec: Spec, file: Path, now: datetime) -> tuple[Spec, tuple[Problem, ...]]:
    """The spec with what is in the file, if that is PEM, and what is wrong with it."""
    try:
        text = _read(file)
    except OSError as error:
        reason = (error.strerror or "it can't be read").lower()
        return spec, (_bad(f"the certificate can't be read: {reason}", _RELATIVE),)
    except ValueError as error:
        return spec, (_bad(str(error), _FORM),)
    if _KEY in text:
        return spec, (_KEY_INSIDE,)
    try:
        chain = certificates.parse(text)
    except ValueError:
        return spec, (_bad("the file holds no certificate in PEM, or a damaged one", _FORM),)
    given = Given(
        chain=certificates.pem(chain),
        anchor=certificates.pem(chain[-1:]),
        sha256=certificates.fingerprint(chain[0]),
        ends=chain[0].not_valid_after_utc.isoformat(timespec="seconds"),
    )
    endpoint = replace(spec.endpoint, tls=replace(spec.endpoint.tls, given=given))
    problems = (*_order(chain), *_first(chain[0], hostnames(spec)), *_time(chain, now))
    return replace(spec, endpoint=endpoint), problems


def _read(path: Path) -> str:
    """Raises `OSError` if there is no such file, `ValueError`, with a sentence, if it is of another kind."""
    if path.exists() and not path.is_file():
        raise ValueError("the certificate is not an ordinary file")
    with path.open("rb") as stream:
        data = stream.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"the file with the certificate is larger than {MAX_BYTES // 1024} KiB")
    return data.decode("ascii", errors="replace")


def _order(chain: tuple[Certificate, ...]) -> Iterator[Problem]:
    for number, (certificate, issuer) in enumerate(pairwise(chain), start=1):
        if not certificates.issued(issuer, certificate):
            yield Problem(
                path=PATH,
                code=Code.CERTIFICATE_CHAIN,
                summary=f"certificate {number} of the file was not issued by number {number + 1}",
                hint="the endpoint's own certificate comes first, and after each one the one that issued it",
            )
            return


def _first(certificate: Certificate, hostnames: tuple[str, ...]) -> Iterator[Problem]:
    """The endpoint's own."""
    hostname = next((name for name in hostnames if not certificates.is_named(certificate, name)), None)
    if hostname is not None:
        found = certificates.names(certificate)
        yield Problem(
            path=PATH,
            code=Code.CERTIFICATE_OF_OTHERS,
            summary=f"the certificate is for {', '.join(map(shown, found)) or 'no name'}, not for {shown(hostname)}",
            hint="`endpoint.hostname` is what clients call, and it has to be in the certificate",
            rests_on=(("endpoint", "hostname"),),
        )
    if not certificates.is_for_servers(certificate):
        yield Problem(
            path=PATH,
            code=Code.CERTIFICATE_OF_OTHERS,
            summary="the certificate is not for servers: its extended key usage lacks `serverAuth`",
            hint="clients refuse it; ask for a server certificate",
        )


def _time(chain: tuple[Certificate, ...], now: datetime) -> Iterator[Problem]:
    for number, certificate in enumerate(chain, start=1):
        which = "the certificate" if number == 1 else f"certificate {number} of the file"
        starts, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        if now < starts:
            yield _ended(f"{which} is not good before {starts:%Y-%m-%d %H:%M} UTC")
        elif now >= ends:
            yield _ended(f"{which} ended on {ends:%Y-%m-%d} at {ends:%H:%M} UTC")
        elif now >= ends - SOON:
            yield Problem(
                path=PATH,
                code=Code.CERTIFICATE_ENDS_SOON,
                summary=f"{which} ends on {ends:%Y-%m-%d} at {ends:%H:%M} UTC",
                hint="put the next one into the file and its key into the secret; a reload brings it",
                severity=Severity.WARNING,
            )


def _ended(summary: str) -> Problem:
    hint = "clients refuse it; get another one, or put this machine's clock right"
    return Problem(path=PATH, code=Code.CERTIFICATE_ENDED, summary=summary, hint=hint)


def _bad(summary: str, hint: str) -> Problem:
    return Problem(path=PATH, code=Code.BAD_CERTIFICATE, summary=summary, hint=hint)
