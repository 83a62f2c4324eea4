"""A disk that is full or read-only: named before anything is touched, and as the cause when it gets in the way.

What a script says then is about one file; a person has to know which folder, and what it lacks.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from enginehouse.converge.context import Context
from enginehouse.converge.facts import Facts
from enginehouse.converge.look import look
from enginehouse.errors import CommandFailed, ConvergeFailed, EnginehouseError, explain
from enginehouse.planner.parts import Part

LEAST_MIB = 4
"""For a release's files, records, and what programs log meanwhile: hundreds of kilobytes. Weights ask for their own."""


def check_room(part: Part, facts: Facts) -> None:
    """Raises `ConvergeFailed` if nothing can be written on the machine."""
    if trouble := _trouble(part, facts):
        raise ConvergeFailed(f"{trouble}; nothing was changed")


@contextmanager
def room_named(part: Part, context: Context) -> Iterator[None]:
    """Around what writes on the machine: when it fails for want of room, that is what the error says first."""
    try:
        yield
    except (ConvergeFailed, CommandFailed) as error:
        if trouble := _found(part, context):
            old_serves = isinstance(error, ConvergeFailed) and error.old_serves
            raise ConvergeFailed(trouble, reasons=tuple(explain(error)), old_serves=old_serves) from error
        raise


def _found(part: Part, context: Context) -> str:
    """`_trouble` now; empty also if the machine can't be asked."""
    try:
        return _trouble(part, look(part, replace(context, claim=None)))
    except EnginehouseError:
        return ""


def _trouble(part: Part, facts: Facts) -> str:
    if facts.read_only:
        return f"{part.host}: {facts.state} is read-only; make it writable, then run again"
    if facts.disk_mib is not None and facts.disk_mib < LEAST_MIB:
        room = f"{facts.disk_mib} MiB are free, at least {LEAST_MIB} are needed"
        return f"{part.host}: the disk with {facts.state} is full ({room}); make room, then run again"
    return ""
