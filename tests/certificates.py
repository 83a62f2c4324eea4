"""Certificates for tests: an authority, what it issues, and what is wrong with some of them.

`python -m tests.certificates FOLDER` writes those that the golden diagnostics name; they last until 2126.
"""

from __future__ import annotations

import ipaddress
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

STARTS = datetime(2026, 11, 1, tzinfo=UTC)
ENDS = datetime(2126, 11, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def key_pem(self) -> str:
        return key_pem(self.key, serialization.NoEncryption())


def key_pem(key: ec.EllipticCurvePrivateKey, encryption: serialization.KeySerializationEncryption) -> str:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption).decode()


def authority(name: str = "Test CA", *, issuer: Pair | None = None) -> Pair:
    """A root, or one that another authority has issued."""
    constraints = x509.BasicConstraints(ca=True, path_length=None)
    return made(name, issuer, STARTS, ENDS, [(constraints, True)])


def issue(
    issuer: Pair | None,
    *names: str,
    starts: datetime = STARTS,
    ends: datetime = ENDS,
    usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH,
) -> Pair:
    """A certificate for these names and addresses; signed by itself without an issuer."""
    alternatives = x509.SubjectAlternativeName([_general(name) for name in names])
    return made(names[0], issuer, starts, ends, [(alternatives, False), (x509.ExtendedKeyUsage([usage]), False)])


def made(
    name: str,
    issuer: Pair | None,
    starts: datetime,
    ends: datetime,
    extensions: list[tuple[x509.ExtensionType, bool]],
) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder(
        issuer_name=issuer.certificate.subject if issuer else subject,
        subject_name=subject,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=starts,
        not_valid_after=ends,
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return Pair(certificate=builder.sign(issuer.key if issuer else key, hashes.SHA256()), key=key)


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def write(folder: Path) -> None:
    """The files that golden diagnostics name."""
    root = authority()
    middle = authority("Test intermediate CA", issuer=root)
    good = issue(middle, "llm.example", "*.shops.example", "10.1.0.11")
    week = timedelta(days=7)
    files = {
        "good": good.pem + middle.pem,
        "disordered": good.pem + root.pem + middle.pem,
        "ended": issue(root, "llm.example", ends=STARTS + week).pem,
        "not-yet": issue(root, "llm.example", starts=ENDS - week).pem,
        "of-a-client": issue(root, "llm.example", usage=ExtendedKeyUsageOID.CLIENT_AUTH).pem,
        "damaged": good.pem.replace("M", "N", 3),
        "with-key": good.pem + "-----BEGIN PRIVATE KEY-----\n(none)\n-----END PRIVATE KEY-----\n",
    }
    for name, text in files.items():
        (folder / f"{name}.pem").write_text(text)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
