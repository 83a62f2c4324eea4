"""Histories made by hand: a part's contents with the runs that brought them, oldest first."""

from __future__ import annotations

from dataclasses import replace

from enginehouse.converge.manifest import Change, Manifest
from enginehouse.planner.parts import Part, ReplicaPart
from tests.unit.report.plans import REPLICA


def sized(context: int) -> ReplicaPart:
    """A replica with that context: as good as any difference."""
    return replace(REPLICA, renamed_from=None, context_tokens=context)


def history(*generations: tuple[str, int, Part]) -> tuple[Manifest, ...]:
    """Newest first. Each generation is its run, the minute it was written, and its content."""
    return tuple(
        Manifest(
            part=part,
            generation=number,
            machine="m",
            change=Change(
                run=run, who="ada@desk", door="pulumi", at=f"2026-11-24T14:{minute:02}:00+00:00", what="healed"
            ),
        )
        for number, (run, minute, part) in reversed(tuple(enumerate(generations, start=1)))
    )
