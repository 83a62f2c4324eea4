"""A rollback before it begins, and what it came to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

from enginehouse.converge.signed import Signed
from enginehouse.report.lines import Line, Style, line, piece
from enginehouse.report.moments import local


@dataclass(frozen=True, slots=True, kw_only=True)
class Return:
    """One part that goes back. `changes`: in the words of a diff."""

    part: str
    now: int
    then: int
    changes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """One part that went back, and its outputs."""

    part: str
    then: int
    outputs: Mapping[str, Any]


def undone_run(run: Signed, stay: Sequence[str], zone: tzinfo | None) -> Iterator[Line]:
    """Whose run is undone, and what can't be."""
    yield line(f"undoing what {run.who} changed at {local(run.at, zone)} through {run.door}")
    for name in stay:
        yield line(piece(name, Style.TITLE), ": stays, that run brought it; it had no content before")


def return_text(one: Return) -> Iterator[Line]:
    """From where to where, and every difference."""
    yield line(
        piece(one.part, Style.TITLE), f": from generation {one.now} back to the content of generation {one.then}"
    )
    yield from (line("  ", change) for change in one.changes or ("nothing: it is that already",))


def returned_text(returned: Sequence[Returned], proofs: Mapping[str, str], took_s: float) -> Iterator[Line]:
    """What runs now, whether each endpoint is proved, and how long that took."""
    for one in returned:
        outputs = one.outputs
        side = f" on side {outputs['side']}" if "side" in outputs else ""
        yield line(
            piece(one.part, Style.TITLE),
            f": release {outputs['release']}{side}, the content of generation {one.then} "
            f"as generation {outputs['generation']}",
        )
    for endpoint, proof in proofs.items():
        yield line(piece(endpoint, Style.TITLE), f": {proof}")
    yield line(piece(f"took {took_s:.1f} s", Style.FAINT))


def file_text(stack: str, file: str, agrees: bool) -> Line:
    """What the next `pulumi up` will make of it."""
    if agrees:
        return line(f"{file} says the same: the next `pulumi up -s {stack}` keeps it")
    return line(
        piece(f"{file} still says otherwise", Style.WARNING),
        f": put it back, such as with `git revert`, before the next `pulumi up -s {stack}`; "
        "else that goes forward again",
    )
