"""X.509 certificates and private keys, as far as an endpoint depends on them. Pure: the time is an argument.

Most stacks have none, and `cryptography` takes longer to import than a stack to check, so this module is imported where
there is one.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509 import Certificate, ExtensionNotFound
from cryptography.x509.oid import ExtendedKeyUsageOID

__all__ = ["Certificate", "fingerprint", "is_for_servers", "is_named", "issued", "key_fault", "names", "parse", "pem"]


def parse(text: str) -> tuple[Certificate, ...]:
    """The certificates in a PEM text, in its order. Raises `ValueError` if it holds none, or one that is damaged."""
    found = tuple(x509.load_pem_x509_certificates(text.encode()))
    for certificate in found:
        _ = certificate.extensions  # not read before somebody asks
    return found


def pem(certificates: Sequence[Certificate]) -> str:
    """The certificates and nothing else."""
    return "".join(certificate.public_bytes(Encoding.PEM).decode() for certificate in certificates)


def fingerprint(certificate: Certificate) -> str:
    """SHA-256 of the certificate, hex."""
    return certificate.fingerprint(SHA256()).hex()


def names(certificate: Certificate) -> tuple[str, ...]:
    """The names and addresses it is for. Clients have not looked at its subject for years (RFC 9525, 2)."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except ExtensionNotFound:
        return ()
    addresses = (str(address) for address in found.get_values_for_type(x509.IPAddress))
    return (*found.get_values_for_type(x509.DNSName), *addresses)


def is_named(certificate: Certificate, hostname: str) -> bool:
    """Whether a client that called `hostname` accepts it (RFC 9525, 6.3): `*.` stands for one label."""
    wanted, _, parent = hostname.lower().partition(".")
    if _is_address(hostname):
        return str(ipaddress.ip_address(hostname)) in names(certificate)
    return bool({hostname.lower(), f"*.{parent}"} & {name.lower() for name in names(certificate)}) if wanted else False


def is_for_servers(certificate: Certificate) -> bool:
    """Whether it may be shown by a server."""
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except ExtensionNotFound:
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    return bool({ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE} & set(usage))


def issued(issuer: Certificate, certificate: Certificate) -> bool:
    """Whether `certificate` was signed by `issuer`."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def lasts(certificate: Certificate, moment: datetime) -> bool:
    """Whether it is good at that moment."""
    return certificate.not_valid_before_utc <= moment < certificate.not_valid_after_utc


def key_fault(text: str, certificate: Certificate) -> str | None:
    """What is wrong with a PEM text as the certificate's private key; never any of the text itself."""
    try:
        key = load_pem_private_key(text.encode(), None)
    except TypeError:
        return "it has a passphrase; write it without one: `openssl pkey -in FILE -out NEW-FILE`"
    except (ValueError, UnsupportedAlgorithm):
        return "it is no private key in PEM, or one of a rare kind"
    ours, wanted = (_public(half) for half in (key.public_key(), certificate.public_key()))
    return None if ours == wanted else f"it belongs to another certificate than {fingerprint(certificate)[:12]}"


def _public(key: object) -> bytes:
    encoded: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]
    return encoded


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
