"""OpenSSH's files of known host keys: whether a key is in them, and where. Pure; sshd(8) describes the format."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

_REVOKED = "@revoked"
_AUTHORITY = "@cert-authority"
_HASHED = "|1|"
_PLAIN_MARKS = frozenset({"", _REVOKED})


class Trust(StrEnum):
    KNOWN = "known"
    UNKNOWN = "unknown"
    CHANGED = "changed"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostKey:
    """A public key: its type, and its bytes in base 64."""

    type: str
    text: str

    @property
    def written(self) -> str:
        """As in a file of public keys, without a comment."""
        return f"{self.type} {self.text}"

    @property
    def fingerprint(self) -> str:
        """As OpenSSH prints it."""
        digest = hashlib.sha256(base64.b64decode(self.text)).digest()
        return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A line that is about the machine."""

    where: str
    """`FILE:LINE`."""
    key: HostKey
    revoked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    trust: Trust
    entry: Entry | None = None
    """The line that decided it."""


def entries(files: Mapping[str, str], name: str) -> tuple[Entry, ...]:
    """The lines about the machine called `name` (`HOST`, or `[HOST]:PORT` off port 22); `files` is path to text."""
    return tuple(
        entry
        for path, text in files.items()
        for number, line in enumerate(text.splitlines(), 1)
        for entry in _entry(f"{path}:{number}", line, name)
    )


def authorities(files: Mapping[str, str], name: str) -> tuple[str, ...]:
    """Where lines are, as `FILE:LINE`, that believe every key of the machine which an authority has signed."""
    return tuple(
        f"{path}:{number}"
        for path, text in files.items()
        for number, line in enumerate(text.splitlines(), 1)
        if (words := line.split()) and words[0] == _AUTHORITY and len(words) > 2 and _names(words[1], name)
    )


def verdict(found: Iterable[Entry], key: HostKey) -> Verdict:
    """Whether `key` is the machine's. A revoked key is never, whatever other lines say."""
    found = tuple(found)
    if entry := next((e for e in found if e.revoked and e.key == key), None):
        return Verdict(trust=Trust.REVOKED, entry=entry)
    valid = [entry for entry in found if not entry.revoked]
    if entry := next((e for e in valid if e.key == key), None):
        return Verdict(trust=Trust.KNOWN, entry=entry)
    if not valid:
        return Verdict(trust=Trust.UNKNOWN)
    return Verdict(trust=Trust.CHANGED, entry=next((e for e in valid if e.key.type == key.type), valid[0]))


def line_of(name: str, key: HostKey) -> str:
    """The line that makes `key` known."""
    return f"{name} {key.written}"


def hashed(name: str, salt: bytes) -> str:
    """`name` as it is written where names are hidden; `salt` is 20 random bytes."""
    digest = hmac.new(salt, name.encode(), hashlib.sha1).digest()
    return f"{_HASHED}{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


def _entry(where: str, line: str, name: str) -> Iterator[Entry]:
    words = line.split()
    mark = words.pop(0) if words and words[0].startswith("@") else ""
    if len(words) < 3 or words[0].startswith("#") or mark not in _PLAIN_MARKS or not _names(words[0], name):
        return
    yield Entry(where=where, key=HostKey(type=words[1], text=words[2]), revoked=mark == _REVOKED)


def _names(patterns: str, name: str) -> bool:
    if patterns.startswith(_HASHED):
        return _hashes(patterns, name)
    wanted = False
    for pattern in patterns.split(","):
        if _matches(pattern.removeprefix("!"), name):
            if pattern.startswith("!"):
                return False
            wanted = True
    return wanted


def _matches(pattern: str, name: str) -> bool:
    """`*` and `?` are the only signs with a meaning; brackets surround a name with a port."""
    return fnmatchcase(name.lower(), pattern.lower().replace("[", "[[]"))


def _hashes(written: str, name: str) -> bool:
    salt = written.removeprefix(_HASHED).partition("|")[0]
    try:
        return written == hashed(name, base64.b64decode(salt))
    except ValueError:
        return False
