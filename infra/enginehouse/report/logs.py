"""A line of a program's log, with the part that wrote it."""

from __future__ import annotations

from enginehouse.report.lines import Line, Style, line, piece


def log_line(part: str, width: int, text: str) -> Line:
    """The text as it is, behind its part in `width` characters; without the part if that is 0."""
    return line(piece(part.ljust(width), Style.FAINT), "  ", text) if width else line(text)
