"""Whether the machine that answers is the one that is meant: its key against the files of known ones."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Mapping
from pathlib import Path

from enginehouse.connectors.ssh.known_hosts import Entry, HostKey, Trust, authorities, entries, hashed, line_of, verdict
from enginehouse.connectors.ssh.settings import DEFAULT_PORT, Hop
from enginehouse.errors import Unreachable


class HostKeyRefused(Unreachable):
    """The machine's key is not known, another one than before, or revoked. Nothing was sent."""


def known_entries(hop: Hop) -> tuple[Entry, ...]:
    """Every line about the machine, under its name with and without the port."""
    files = _texts(hop.known_hosts)
    plain = hop.hostname.lower()
    found = entries(files, hop.key_name)
    # OpenSSH takes a key that is known for the host without its port, too, if the port has none of its own.
    return found or (entries(files, plain) if hop.port != DEFAULT_PORT and hop.key_name != plain else ())


def known_kinds(hop: Hop) -> frozenset[str]:
    """The kinds of key that the machine is known by; none if that is a fingerprint, which has no kind."""
    if hop.pinned is not None:
        return frozenset(kind for kind, _, text in (key.partition(" ") for key in hop.pinned) if text)
    return frozenset(entry.key.type for entry in known_entries(hop) if not entry.revoked)


def check(who: str, hop: Hop, key: HostKey) -> None:
    """Raises `HostKeyRefused`, with what to do, unless the key is believed."""
    if hop.pinned is not None:
        _check_pinned(who, hop, key, hop.pinned)
    else:
        _check_known(who, hop, key)


def remember(file: Path, line: str) -> None:
    """Append a line, on a line of its own even if the file's last one has no end; the folder is made if missing."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "r+b") as opened:
        fcntl.flock(opened, fcntl.LOCK_EX)
        text = opened.read()
        if line.encode() not in text.splitlines():
            opened.write((b"\n" if text and not text.endswith(b"\n") else b"") + line.encode() + b"\n")


def _check_pinned(who: str, hop: Hop, key: HostKey, pinned: tuple[str, ...]) -> None:
    """No file of known keys is asked."""
    if {key.written, key.fingerprint}.isdisjoint(pinned):
        raise HostKeyRefused(
            f"{who}: the host key of {hop} is not the one that the stack file has: it is {key.type} {key.fingerprint}; "
            f"somebody may be in between. If it is right (compare it on the machine: "
            f"`ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub`), write for this host: `host_key: {key.written}`"
        )


def _check_known(who: str, hop: Hop, key: HostKey) -> None:
    """With `accept_new` a first key is written down."""
    found = verdict(known_entries(hop), key)
    if found.trust is Trust.KNOWN:
        return
    said = f"{key.type} {key.fingerprint}"
    line = line_of(hop.key_name, key)
    if found.trust is Trust.UNKNOWN:
        if hop.accept_new and hop.new_hosts is None:
            raise HostKeyRefused(
                f"{who}: the host key of {hop} is not known ({said}), and there is no file to write it to: "
                "`host_keys: accept-new` needs a UserKnownHostsFile in OpenSSH's configuration"
            )
        if hop.accept_new and hop.new_hosts:
            hidden = line_of(hashed(hop.key_name, os.urandom(20)), key) if hop.hash_names else line
            try:
                remember(hop.new_hosts, hidden)
            except OSError as error:
                raise HostKeyRefused(
                    f"{who}: the host key of {hop} is not known ({said}), and it can't be written to {hop.new_hosts} "
                    f"({error.strerror})"
                ) from None
            return
        file = hop.new_hosts or "/etc/ssh/ssh_known_hosts"
        raise HostKeyRefused(
            f"{who}: the host key of {hop} is not known ({said}); compare it on the machine "
            f"(`ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub`), then add this line to {file}: {line}{_authority(hop)}"
        )
    assert found.entry is not None, "every other verdict has a line"
    if found.trust is Trust.REVOKED:
        raise HostKeyRefused(f"{who}: the host key of {hop} ({said}) is revoked by {found.entry.where}")
    raise HostKeyRefused(
        f"{who}: the host key of {hop} has changed: now {said}, but {found.entry.where} has "
        f"{found.entry.key.type} {found.entry.key.fingerprint}; somebody may be in between. If the machine was set up "
        f"anew, replace that line by: {line}"
    )


def _authority(hop: Hop) -> str:
    """A word about the certificates of host keys, where OpenSSH would believe one."""
    where = authorities(_texts(hop.known_hosts), hop.key_name)
    return f" (the @cert-authority in {where[0]} is not looked at: certificates are not supported)" if where else ""


def _texts(paths: tuple[Path, ...]) -> Mapping[str, str]:
    found = {}
    for path in paths:
        try:
            found[str(path)] = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
    return found
