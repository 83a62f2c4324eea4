"""Standing orders in words: that one was given, what ends it, that one has ended."""

from __future__ import annotations

from collections.abc import Iterator

from enginehouse.converge.standing import Order
from enginehouse.report.lines import Line, Style, line, piece


def drained_text(stack: str, part: str, order: Order) -> Iterator[Line]:
    yield line(piece(part, Style.TITLE), ": ", piece("drained", Style.WARNING), f" {order}")
    yield line(f"  `enginehouse undrain {stack} {part}` ends it")


def frozen_text(stack: str, host: str, order: Order) -> Iterator[Line]:
    yield line(piece(f"{stack} on {host}", Style.TITLE), ": ", piece("frozen", Style.WARNING), f" {order}")
    yield line(f"  `enginehouse unfreeze {stack}` ends it")


def ended_text(subject: str, word: str, order: Order | None) -> Line:
    """What was ordered until now; None: nothing was."""
    if order is None:
        return line(piece(subject, Style.TITLE), f": was not {word}")
    return line(piece(subject, Style.TITLE), f": no longer {word}", piece(f" (it was {order})", Style.FAINT))
