"""The journal of a stack on a machine: one JSON object a line, oldest first. Pure; `records` writes and reads it.

Others append to it, too (the watchdog does), so a line must be one write, and a reader skips what it can't read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from enginehouse.converge.signed import Signed
from enginehouse.planner.codec import from_plain

LONGEST_TEXT = 600
"""Characters. A line stays below 4096 bytes, which shells write at once."""
LARGEST_BYTES = 2 * 2**20
"""Years of work on one stack; a journal that grows beyond is cut to its newer half."""


class Word(StrEnum):
    """What converge and the orders tell."""

    CHANGED = "changed"
    FAILED = "failed"
    REMOVED = "removed"
    ADOPTED = "adopted"
    TAKEN_OVER = "taken-over"
    LEASE_TAKEN_OVER = "lease-taken-over"
    DRAINED = "drained"
    UNDRAINED = "undrained"
    FROZEN = "frozen"
    UNFROZEN = "unfrozen"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry(Signed):
    """One line. `event` may be a word of another writer; `part` is empty for the stack as a whole."""

    event: str
    part: str
    text: str
    generation: int | None = None
    """Only of `changed`."""

    def line(self) -> str:
        """As the journal keeps it, without the line end."""
        plain = {"at": self.at, "event": str(self.event), "part": self.part, "who": self.who, "door": self.door}
        plain |= {"run": self.run, "text": shortened(self.text)}
        if self.generation is not None:
            return json.dumps({**plain, "generation": self.generation}, ensure_ascii=False)
        return json.dumps(plain, ensure_ascii=False)


def parse(text: str) -> Iterator[Entry]:
    """The entries in a journal's text, in its order."""
    for line in text.splitlines():
        try:
            yield from_plain(Entry, json.loads(line))
        except (ValueError, TypeError, AttributeError):
            continue


def shortened(text: str) -> str:
    """`text` on one line and no longer than an entry's may be."""
    one_line = " ".join(text.split())
    return one_line if len(one_line) <= LONGEST_TEXT else one_line[: LONGEST_TEXT - 2] + " …"
