"""Host keys in a stack file: which texts can be compared with a machine's, and what is told about the others."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enginehouse.connectors.ssh.known_hosts import HostKey
from enginehouse.spec.host_keys import fault, plain_key


def blob(*fields: bytes) -> str:
    return base64.b64encode(b"".join(len(field).to_bytes(4, "big") + field for field in fields)).decode()


ED25519 = f"ssh-ed25519 {blob(b'ssh-ed25519', bytes(32))}"


@pytest.mark.parametrize(
    "key",
    [
        ED25519,
        f"{ED25519} root@gpu-1",
        f"ssh-rsa {blob(b'ssh-rsa', b'e', b'n' * 256)}",
        f"ecdsa-sha2-nistp256 {blob(b'ecdsa-sha2-nistp256', b'nistp256', b'q')}",
        HostKey(type="ssh-ed25519", text=ED25519.split()[1]).fingerprint,
    ],
)
def test_a_public_key_and_a_fingerprint_are_good(key: str) -> None:
    """Of every kind that sshd has, with a comment or without."""
    assert fault(key) is None


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("", "is empty"),
        ("gpu-1 " + ED25519, "begins with a name"),
        ("@revoked gpu-1 " + ED25519, "begins with a name"),
        ("AAAA", "is no public key"),
        ("ssh-ed25519", "is cut off"),
        (ED25519[:-5], "is damaged"),
        (ED25519.replace("ssh-ed25519", "ssh-rsa"), "is damaged"),
        ("ssh-ed25519-cert-v01@openssh.com AAAA", "is a certificate"),
        ("MD5:16:27:ac:a5", "can be forged"),
        ("SHA256:short", "is no fingerprint"),
    ],
)
def test_what_cannot_be_compared_is_explained(key: str, told: str) -> None:
    """Each mistake that people make with a line they copy."""
    assert told in str(fault(key))


@given(st.text())
def test_no_text_is_a_surprise(text: str) -> None:
    """Whatever stands there, it is good or told what it is."""
    assert fault(text) is None or fault(text)


@given(st.integers(0, len(ED25519) - 1))
def test_a_key_that_is_cut_off_anywhere_is_noticed(end: int) -> None:
    assert fault(ED25519[:end])


def test_a_comment_is_no_part_of_the_key() -> None:
    assert plain_key(f"  {ED25519}   root@gpu-1 and more") == ED25519
