"""Weights on machines, in words and as plain data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from enginehouse.converge.stored import Stored
from enginehouse.converge.transfer import size_text
from enginehouse.report.lines import Line, Style, line, piece

Found = Mapping[str, Sequence[Stored]]
"""By machine."""


def stored_text(found: Found) -> tuple[Line, ...]:
    return tuple(row for host, weights in found.items() for row in _machine(host, weights))


def pruned_text(removed: Found) -> tuple[Line, ...]:
    return tuple(row for host, weights in removed.items() for row in _pruned(host, weights))


def stored_plain(found: Found) -> dict[str, Any]:
    return {host: [asdict(one) for one in weights] for host, weights in found.items()}


def _machine(host: str, weights: Sequence[Stored]) -> Iterator[Line]:
    yield line(piece(host, Style.TITLE), "" if weights else ": no weights")
    for one in weights:
        users = piece(", ".join(one.users)) if one.users else piece("unused", Style.WARNING)
        yield line(f"  {_one(one)}  ", users)


def _pruned(host: str, weights: Sequence[Stored]) -> Iterator[Line]:
    freed = sum(one.size for one in weights)
    said = f"{size_text(freed)} freed" if weights else "nothing to remove: all weights there are needed"
    yield line(piece(host, Style.TITLE), f": {said}")
    for one in weights:
        yield line(f"  removed {_one(one)}")


def _one(one: Stored) -> str:
    return f"{one.name}  {size_text(one.size):>7}  {', '.join(one.files) or '(no files)'}"
