"""A file's bytes to text that is safe to parse and to show."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from pathlib import Path

from enginehouse.diagnostics import Diagnostic, Span
from enginehouse.spec.codes import Code

MAX_BYTES = 512 * 1024
"""A stack with 500 deployments has about 175 KiB."""

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_REFUSED = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]"
)
"""Control characters, line ends that only some programs see, marks that change the reading direction (a line that shows
other than it is), byte order marks, and what no encoder accepts. Tab, newline and carriage return are fine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """`text` can be shown on a terminal as it is; it can be parsed only if there is no `problem`."""

    text: str
    problem: Diagnostic | None = None


def read(path: Path, file: str) -> Reading:
    """What is in the file at `path`; a file that can't be read is a problem, too. `file` is what it is called."""
    try:
        with path.open("rb") as stream:
            return decode(stream.read(MAX_BYTES + 1), file)
    except OSError as error:
        return Reading(text="", problem=_unreadable(file, (error.strerror or "it can't be read").lower()))
    except ValueError:  # such as one with a NUL
        return Reading(text="", problem=_unreadable(file, "no file can have this name"))


def decode(data: bytes, file: str) -> Reading:
    """UTF-8 with or without a byte order mark."""
    if len(data) > MAX_BYTES:
        return Reading(text="", problem=_too_large(file))
    try:
        return inspect(data.decode("utf-8-sig"), file)
    except UnicodeDecodeError as error:
        before = _showable(data[: error.start].decode("utf-8-sig"))
        text = _showable(data.decode("utf-8-sig", errors="replace"))
        hint = "it looks like UTF-16" if data.startswith(_UTF16) else 'an editor\'s "save with encoding" converts it'
        problem = Diagnostic(
            code=Code.NOT_UTF8,
            summary=f"the file is not UTF-8 text: byte 0x{data[error.start]:02x} at offset {error.start}",
            span=span_at(file, before, 1),
            hint=f"save it as UTF-8; {hint}",
        )
        return Reading(text=text, problem=problem)


def inspect(text: str, file: str) -> Reading:
    """Refuses a text that is too long or has characters that don't belong in a text file."""
    if len(text) > MAX_BYTES:
        return Reading(text="", problem=_too_large(file))
    found = _REFUSED.search(text)
    if found is None:
        return Reading(text=text)
    problem = Diagnostic(
        code=Code.CONTROL_CHARACTER,
        summary=f"the file has the character U+{ord(found[0]):04X}, which is invisible or controls terminals",
        span=span_at(file, text[: found.start()], 1),
        hint="delete it; in a quoted text it can be written as an escape",
    )
    return Reading(text=_showable(text), problem=problem)


def span_at(file: str, before: str, width: int) -> Span:
    """The place right behind the text `before`, `width` columns wide."""
    lines = f"{before}|".splitlines()
    column = len(lines[-1])
    return Span(file=file, line=len(lines), column=column, end_line=len(lines), end_column=column + width)


def _showable(text: str) -> str:
    return _REFUSED.sub("\ufffd", text)


def _too_large(file: str) -> Diagnostic:
    return Diagnostic(
        code=Code.FILE_TOO_LARGE,
        summary=f"the file is larger than {MAX_BYTES // 1024} KiB",
        span=span_at(file, "", 1),
        hint="a stack file is written by people; split it into several stacks",
    )


def _unreadable(file: str, reason: str) -> Diagnostic:
    return Diagnostic(code=Code.UNREADABLE_FILE, summary=f"the file can't be read: {reason}", span=span_at(file, "", 1))
