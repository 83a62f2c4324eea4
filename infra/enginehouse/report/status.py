"""What really runs, beside what the plan says: one table, then gateway, endpoint and everything that differs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from enginehouse.converge.hangs import Hangs
from enginehouse.converge.standing import Order
from enginehouse.planner.codec import to_plain
from enginehouse.report.lines import Line, Piece, Style, line, piece, table
from enginehouse.report.orders import drained_text, frozen_text

HEADINGS = ("stack", "host", "deployment", "replica", "state", "since", "running", "queued")
_NUMBERS = ("running", "queued")
SOON_DAYS = 14
"""As long before its end a certificate is warned of as in `validate`; one that the machine renews has 30 by then."""
_NOTHING = "-"


class State(StrEnum):
    """How a part compares with its plan."""

    SERVING = "serving"
    READY = "ready"
    """As planned, of a part that nobody sends requests to."""
    DRAINED = "drained"
    """As planned, but kept from requests by a standing order."""
    STOPPED = "stopped"
    """It is on its machine, but does not run."""
    UNHEALTHY = "unhealthy"
    """It is what the plan says, but does not work."""
    DIFFERS = "differs"
    """It works, but is not what the plan says."""
    MISSING = "missing"
    UNREACHABLE = "unreachable"
    """Its machine could not be asked."""

    def is_good(self) -> bool:
        return self in (State.SERVING, State.READY, State.DRAINED)

    def style(self) -> Style:
        if self in (State.DIFFERS, State.DRAINED):
            return Style.WARNING
        return Style.GOOD if self.is_good() else Style.BAD


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Requests at one moment; None where nobody could be asked."""

    running: int | None = None
    queued: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """When a gateway's certificate ends, ISO 8601 in UTC, and how many whole days are left; below 0 it has ended."""

    ends: str
    days: int

    def __str__(self) -> str:
        if self.days < 0:
            return f"certificate ended on {self.ends[:10]}"
        return f"certificate ends in {self.days} day{'s' if self.days != 1 else ''} ({self.ends[:10]})"


@dataclass(frozen=True, slots=True, kw_only=True)
class PartStatus:
    """One part. `since`: when what runs was started, ISO 8601 in UTC; `reasons`: why it isn't serving as planned."""

    kind: str
    part: str
    host: str
    state: State
    reasons: tuple[str, ...] = ()
    since: str | None = None
    deployment: str | None = None
    address: str | None = None
    load: Load = field(default_factory=Load)
    drained: Order | None = None
    frozen: Order | None = None
    """Of a host: the standing order that keeps its stack as it is."""
    hangs: Hangs | None = None
    certificate: Certificate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StackStatus:
    """All parts of one stack, in the plan's order."""

    stack: str
    parts: tuple[PartStatus, ...]

    def ok(self) -> bool:
        return all(part.state.is_good() for part in self.parts)


def status_text(stacks: Sequence[StackStatus]) -> tuple[Line, ...]:
    """One table over all stacks, then a line per gateway and endpoint, standing orders, hangs, what differs and why.

    The column that names the stack is there only if there are several.
    """
    first = 0 if len(stacks) > 1 else 1
    parts = [(stack.stack, part) for stack in stacks for part in stack.parts]
    headings = HEADINGS[first:]
    numbers = frozenset(index for index, heading in enumerate(headings) if heading in _NUMBERS)
    replicas = [_replica(stack, part)[first:] for stack, part in parts if part.kind == "replica"]
    others = [_address(stack, part)[first:] for stack, part in parts if part.address]
    differing = [(stack, part) for stack, part in parts if not part.state.is_good()]
    return (
        *table(headings, replicas, numbers=numbers),
        line(),
        *table([""] * len(others[0]), others)[1:],
        *(row for stack, part in parts for row in _orders(stack, part)),
        *(row for stack, part in parts for row in _hangs(stack, part)),
        *(row for stack, part in differing for row in _difference((stack, part.part)[first:], part)),
        *(row for stack in stacks if not stack.ok() for row in _remedy(stack.stack)),
    )


def status_plain(stack: StackStatus) -> dict[str, Any]:
    """The same as JSON-able data, with every part."""
    return {"stack": stack.stack, "ok": stack.ok(), "parts": [to_plain(part) for part in stack.parts]}


def _replica(stack: str, part: PartStatus) -> list[Piece]:
    return [
        piece(stack),
        piece(part.host),
        piece(part.deployment or _NOTHING),
        piece(part.part, Style.TITLE),
        piece(part.state.value, part.state.style()),
        piece(_moment(part.since)),
        piece(_count(part.load.running)),
        piece(_count(part.load.queued)),
    ]


def _address(stack: str, part: PartStatus) -> list[Piece]:
    waiting = f"{part.load.queued} waiting" if part.load.queued is not None else ""
    return [
        piece(stack),
        piece(part.kind),
        piece(part.part, Style.TITLE),
        piece(part.state.value, part.state.style()),
        piece(_moment(part.since)),
        piece(part.address or ""),
        piece(waiting, Style.FAINT),
        _certificate(part.certificate),
    ]


def _certificate(certificate: Certificate | None) -> Piece:
    """In the last column, which is there only if some gateway has one."""
    style = Style.WARNING if certificate and certificate.days < SOON_DAYS else Style.FAINT
    return piece(str(certificate) if certificate else "", style)


def _orders(stack: str, part: PartStatus) -> Iterator[Line]:
    if part.drained:
        yield line()
        yield from drained_text(stack, part.part, part.drained)
    if part.frozen:
        yield line()
        yield from frozen_text(stack, part.part, part.frozen)


def _hangs(stack: str, part: PartStatus) -> Iterator[Line]:
    if part.hangs:
        yield line()
        yield line(piece(part.part, Style.TITLE), ": ", piece(str(part.hangs), Style.WARNING))
        yield line(f"  `enginehouse logs {stack} {part.part} --hung` shows what it wrote before the last one")


def _difference(names: Iterable[str], part: PartStatus) -> Iterator[Line]:
    yield line()
    yield line(piece(" ".join(names), Style.TITLE), ": ", piece(part.state.value, part.state.style()))
    yield from (line("  ", reason) for reason in part.reasons)


def _remedy(stack: str) -> Iterator[Line]:
    yield line()
    yield line(f"`pulumi up -s {stack}` brings {stack} to its plan")


def _moment(since: str | None) -> str:
    """`2026-11-24T14:02:11Z` as `2026-11-24 14:02 UTC`."""
    return f"{since[:10]} {since[11:16]} UTC" if since else _NOTHING


def _count(number: int | None) -> str:
    return _NOTHING if number is None else str(number)
