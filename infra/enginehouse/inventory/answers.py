"""The facts that a machine's answer holds, before anybody says what they mean."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from enginehouse.errors import EnginehouseError

Values: TypeAlias = Mapping[str, str]
"""What each shell function of `templates/host/inventory.sh` printed, by key."""
VERSION = re.compile(r"\d+(?:\.\d+)+|\d+")
_EXIT = re.compile(r"\n?exit (\d+)\n?\Z")
_KILLED = (124, 137)
"""What `timeout` ends with: GNU's after SIGTERM, and everybody's after SIGKILL."""


class BadProbe(EnginehouseError):
    """The machine's answer to a probe is not what the probe's script prints."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a program printed. `code` is None if it was still at it when nobody waited any longer."""

    text: str
    code: int | None

    @property
    def ok(self) -> bool:
        return self.code == 0

    def first_line(self) -> str:
        return next((line.strip() for line in self.text.splitlines() if line.strip()), "")


def values_of(text: str) -> dict[str, str]:
    """The value of each fact. Raises `BadProbe`."""
    return dict(facts_in(text))


def facts_in(text: str) -> Iterator[tuple[str, str]]:
    """The facts of the answer's last line, in order: what a shell's start files print comes before it.

    Raises `BadProbe`.
    """
    line = text.rstrip("\n").rpartition("\n")[2]
    word, _, encoded = line.partition("\t")
    try:
        decoded = base64.b64decode(encoded, validate=True).decode(errors="replace")
    except binascii.Error as err:
        raise BadProbe(f"the probe's answer {line[:80]!r} is not base64") from err
    if word != "facts":
        raise BadProbe(f"the probe's answer {line[:80]!r} holds no facts")
    yield from ((key, value) for key, _, value in (fact.partition("\t") for fact in decoded.split("\0")[1:]))


def said(values: Values, key: str) -> Said | None:
    """What `within` told of a program; None if it was not asked."""
    if key not in values:
        return None
    text = values[key]
    end = _EXIT.search(text)
    if end is None:
        return Said(text=text, code=None)
    code = int(end[1])
    return Said(text=text[: end.start()], code=None if code in _KILLED else code)


def number(values: Values, key: str) -> int | None:
    text = values.get(key, "").strip()
    return int(text) if text.isdigit() else None


def version_in(text: str) -> str:
    """The first thing that looks like a version; empty without one."""
    found = VERSION.search(text)
    return found[0] if found else ""


def pairs(text: str, sign: str) -> dict[str, str]:
    """`NAME sign VALUE` lines; the first of a name counts."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, between, value = line.partition(sign)
        if between:
            found.setdefault(name.strip(), value.strip())
    return found
