"""Files of known host keys, as sshd(8) describes them."""

from __future__ import annotations

import pytest

from enginehouse.connectors.ssh.known_hosts import HostKey, Trust, authorities, entries, hashed, line_of, verdict

KEY = HostKey(type="ssh-ed25519", text="AAAAC3NzaC1lZDI1NTE5AAAAIGtleQ==")
OTHER = HostKey(type="ssh-ed25519", text="AAAAC3NzaC1lZDI1NTE5AAAAIG90aGVy")
RSA = HostKey(type="ssh-rsa", text="AAAAB3NzaC1yc2EAAAADAQAB")


def trust(text: str, name: str = "gpu-1", key: HostKey = KEY) -> Trust:
    return verdict(entries({"known": text}, name), key).trust


@pytest.mark.parametrize(
    "names",
    ["gpu-1", "other,gpu-1", "gpu-?", "*", "g*,!gpu-2", hashed("gpu-1", b"salt" * 5), "GPU-1", "gpu-1,!gpu-2"],
)
def test_a_key_is_known_under_every_way_to_write_the_name(names: str) -> None:
    """Lists, patterns, exceptions, hidden names."""
    assert trust(f"# a comment\n\n{names} {KEY.type} {KEY.text} and words\n") is Trust.KNOWN


@pytest.mark.parametrize(
    "names", ["gpu-2", "gpu", "*,!gpu-1", "!gpu-1,*", hashed("gpu-2", b"salt" * 5), "|1|no|hash", "[gpu-1]:2222"]
)
def test_other_machines_lines_say_nothing(names: str) -> None:
    """Twin: an exception counts wherever it stands."""
    assert trust(f"{names} {KEY.type} {KEY.text}\n") is Trust.UNKNOWN


def test_a_port_is_part_of_the_name() -> None:
    """And its brackets have no meaning of their own."""
    line = line_of("[gpu-1]:2222", KEY)
    assert [trust(line, name) for name in ("[gpu-1]:2222", "gpu-1", "g]:2222")] == [
        Trust.KNOWN,
        Trust.UNKNOWN,
        Trust.UNKNOWN,
    ]


def test_another_key_is_a_change_and_the_line_is_named() -> None:
    """The one of the same type, if there is one."""
    found = verdict(entries({"a": line_of("gpu-1", RSA), "b": f"\n{line_of('gpu-1', OTHER)}"}, "gpu-1"), KEY)
    assert found.entry is not None
    assert (found.trust, found.entry.where, found.entry.key) == (Trust.CHANGED, "b:2", OTHER)


def test_a_revoked_key_is_never_known() -> None:
    """In whatever file and order; another key of the machine is not touched by that."""
    text = f"{line_of('gpu-1', KEY)}\n@revoked {line_of('*', KEY)}\n{line_of('gpu-1', OTHER)}\n"
    assert [trust(text), trust(text, key=OTHER)] == [Trust.REVOKED, Trust.KNOWN]


@pytest.mark.parametrize(
    "line", ["@cert-authority * ssh-ed25519 AAAA", "@strange * ssh-ed25519 AAAA", "gpu-1 AAAA", "x"]
)
def test_lines_of_another_kind_are_passed_over(line: str) -> None:
    """They neither make a key known nor a change."""
    assert trust(line) is Trust.UNKNOWN


def test_the_line_of_an_authority_is_found_where_openssh_would_go_by_it() -> None:
    """It makes nothing known, and can be named."""
    text = "# x\n@cert-authority *.example,gpu-? ssh-ed25519 AAAA\n@cert-authority \n@revoked * ssh-ed25519 AAAA\n"
    assert [authorities({"known": text}, name) for name in ("gpu-1", "a.example", "box")] == [
        ("known:2",),
        ("known:2",),
        (),
    ]


def test_an_alias_with_capitals_is_the_same_name() -> None:
    """As `HostKeyAlias` may have them."""
    assert [trust(line_of(written, KEY), "GPU-Farm") for written in ("GPU-Farm", "gpu-farm")] == [Trust.KNOWN] * 2


def test_the_fingerprint_is_openssh_s() -> None:
    """`ssh-keygen -lf` of that key (OpenSSH 9.2)."""
    assert KEY.fingerprint.startswith("SHA256:")
    assert "=" not in KEY.fingerprint
