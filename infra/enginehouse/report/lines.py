"""Styled lines: what every renderer returns and what `terminal` paints."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories that move the cursor, hide text, reorder it or can't be encoded."""


class Style(StrEnum):
    """A meaning; the value is its look as rich spells it."""

    PLAIN = ""
    TITLE = "bold"
    FAINT = "dim"
    GOOD = "green"
    WARNING = "yellow"
    BAD = "bold red"


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of one line. `text` is made safe by the time it is a piece: use `piece` for foreign text."""

    text: str
    style: Style = Style.PLAIN


Line = tuple[Piece, ...]


def piece(text: str, style: Style = Style.PLAIN) -> Piece:
    """Foreign text as a piece: control characters become visible escapes, so it can neither paint nor break a line."""
    return Piece(visible(text), style)


def line(*pieces: str | Piece) -> Line:
    """One line of several pieces; plain strings are made visible."""
    return tuple(p if isinstance(p, Piece) else piece(p) for p in pieces)


def visible(text: str) -> str:
    """`text` with everything but printable characters and tabs written as an escape, such as `\\x1b`."""
    if text.isprintable():
        return text
    return "".join(_escape(c) if c != "\t" and _is_unsafe(c) else c for c in text)


def as_text(lines: Iterable[Line]) -> str:
    """The lines without styles, each ended by a line feed."""
    return "".join("".join(p.text for p in row).rstrip() + "\n" for row in lines)


def json_lines(value: Any, *, indent: int | None = 2) -> tuple[Line, ...]:
    """JSON with keys in the given order; letters of all languages stay readable. `indent=None` gives one line."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    return tuple(line("".join(_json_escape(c) if _is_unsafe(c) else c for c in row)) for row in text.split("\n"))


def table(
    headings: Sequence[str], rows: Sequence[Sequence[Piece]], *, numbers: frozenset[int] = frozenset()
) -> tuple[Line, ...]:
    """Columns as wide as their widest cell, two blanks apart; those in `numbers` are aligned to the right."""
    cells = [[Piece(heading, Style.FAINT) for heading in headings], *(list(row) for row in rows)]
    widths = [max(len(row[column].text) for row in cells) for column in range(len(headings))]
    return tuple(_row(row, widths, numbers) for row in cells)


def _row(row: Sequence[Piece], widths: Sequence[int], numbers: frozenset[int]) -> Line:
    padded = (
        Piece(cell.text.rjust(width) if column in numbers else cell.text.ljust(width), cell.style)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    )
    return tuple(p for cell in padded for p in (cell, Piece("  ")))[:-1]


def _is_unsafe(character: str) -> bool:
    return unicodedata.category(character) in _UNSAFE


def _json_escape(character: str) -> str:
    """As JSON writes a character that it could also leave as it is."""
    return f"\\u{ord(character):04x}" if ord(character) < 0x10000 else json.dumps(character)[1:-1]


def _escape(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
