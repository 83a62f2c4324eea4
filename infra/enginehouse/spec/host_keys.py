"""Host keys as a stack file may hold them: a public key, as OpenSSH writes it, or its fingerprint. Pure."""

from __future__ import annotations

import base64
import binascii
import re

FINGERPRINT = "SHA256:"
_FINGERPRINT = re.compile(rf"{FINGERPRINT}[A-Za-z0-9+/]{{43}}")
_KINDS = re.compile(r"ssh-(ed25519|rsa|dss)|ecdsa-sha2-nistp(256|384|521)")
_CERTIFICATE = "-cert-v01@"
_LENGTH_BYTES = 4


def fault(text: str) -> str | None:
    """What is wrong with a host key, in words that go on after its name; None if it can be compared."""
    words = text.split()
    if not words:
        return "is empty"
    if words[0].startswith(FINGERPRINT):
        fits = _FINGERPRINT.fullmatch(text.strip())
        return None if fits else f"is no fingerprint: `{FINGERPRINT}` and 43 more signs, as `ssh-keygen -lf` prints it"
    if words[0].startswith("MD5:"):
        return f"is a fingerprint that can be forged; take the one that begins with `{FINGERPRINT}`"
    if _CERTIFICATE in words[0]:
        return "is a certificate, which is not supported; write the host key itself"
    if not _KINDS.fullmatch(words[0]):
        behind = next((i for i, word in enumerate(words) if _KINDS.fullmatch(word)), None)
        return "begins with a name; write only what follows it" if behind else "is no public key"
    if len(words) < 2:
        return "is cut off behind its type"
    return None if _type_of(words[1]) == words[0] else "is damaged: its type and its text do not fit together"


def plain_key(text: str) -> str:
    """The key without its comment, so that another comment is no other key."""
    return " ".join(text.split()[:2])


def _type_of(text: str) -> str | None:
    """What a key itself says that it is (RFC 4253, 6.6); None if it is no key, or only a part of one."""
    try:
        blob = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    fields = []
    while blob:
        size = int.from_bytes(blob[:_LENGTH_BYTES], "big")
        if len(blob) < _LENGTH_BYTES + size:
            return None
        fields.append(blob[_LENGTH_BYTES : _LENGTH_BYTES + size])
        blob = blob[_LENGTH_BYTES + size :]
    return fields[0].decode("ascii", "replace") if len(fields) > 1 else None
