"""What the watchdog writes of engines that hung: `run/hung` and `run/hangs` of a replica. Pure.

`hung` is there from the moment the watchdog judges until requests are given back; `hangs` counts for good.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Hung:
    """A replica whose engine hangs, or was restarted for that and is not known to work yet."""

    pid: int
    """The process that hangs; 0 if none does, but an engine that was started anew has not proved itself yet."""
    at: str
    """Since when it is known; UTC, ISO 8601."""
    why: str

    def __str__(self) -> str:
        return f"has {'hung' if self.pid else 'not answered'} since {self.at}: {self.why}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hangs:
    """How often a replica's engine hung in the life of its folder, and when last."""

    count: int
    last: str

    def __str__(self) -> str:
        return f"hung {self.count} time{'' if self.count == 1 else 's'}, last at {self.last}"


def hung(text: str | None) -> Hung | None:
    """From the text of `run/hung`. A file that can't be read still says that something is not in order."""
    if text is None:
        return None
    words = (text.splitlines() or [""])[0].split(" ", 3)
    if len(words) < 4 or not words[0].isdecimal():
        return Hung(pid=0, at="an unknown time", why="the watchdog's note can't be read")
    return Hung(pid=int(words[0]), at=words[2], why=words[3])


def hangs(text: str | None) -> Hangs | None:
    """From the text of `run/hangs`; None if there were none, or if nobody can tell."""
    words = (text or "").split()
    if len(words) != 2 or not words[0].isdecimal():
        return None
    return Hangs(count=int(words[0]), last=words[1])
