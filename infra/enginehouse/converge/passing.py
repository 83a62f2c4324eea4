"""The way of a replica through the gate of its deployment."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial

from enginehouse.converge.context import Context
from enginehouse.converge.facts import Facts
from enginehouse.converge.gates import exchange
from enginehouse.converge.siblings import has_traffic, held_back
from enginehouse.converge.steps import Effect, Steps
from enginehouse.planner.parts import Part, ReplicaPart
from enginehouse.spec.wording import listed

MEND_WITHIN_S = 10.0
"""A replica that a dead run held back is mended by this run, too, and comes at about the same time, unless its weights
come first or it is no business of this run; then nobody knows when it comes."""
LOOK_S = 1.0

Seen = tuple[Facts, Steps]


def passing(part: Part, context: Context, seen: Seen, again: Callable[[], Seen]) -> AbstractContextManager[None]:
    """The gate of the part's deployment, if an engine starts. After a wait, `again` looks anew."""
    effect = seen[1].effect
    if not isinstance(part, ReplicaPart) or not (effect.exchanges() or effect is Effect.START):
        return nullcontext()
    if effect is Effect.START:
        return context.gates.starting(part, seen[1].memory_mib)
    facts, steps = _once_others_are_mended(part, context, seen, again)
    tell = partial(context.progress, part.name)
    return context.gates.passing(
        part, exchange(part, facts, steps), lambda: exchange(part, *again()), tell, context.check_cancelled
    )


def _once_others_are_mended(part: ReplicaPart, context: Context, seen: Seen, again: Callable[[], Seen]) -> Seen:
    """Before requests wait for `part`, let others have theirs again that a run which died has held back.

    Raises `GateClosed` if one of them fails meanwhile. Who does not come in time is waited for no longer.
    """
    until, waited_for = context.clock.monotonic() + MEND_WITHIN_S, frozenset[str]()
    while missing := _missing(part, context, seen):
        waited_for |= missing
        context.gates.check_open(part, waited_for)
        now = context.clock.monotonic()
        if context.gates.starts(part, missing):
            until = now + MEND_WITHIN_S
        if now >= until:
            context.notice(part.name, f"{listed(sorted(missing))} did not come in time and is waited for no longer")
            break
        context.progress(part.name, f"waiting for {listed(sorted(missing))}, which a run that ended may have held back")
        context.pause(LOOK_S)
        seen = again()
    context.gates.check_open(part, waited_for)
    return seen


def _missing(part: ReplicaPart, context: Context, seen: Seen) -> frozenset[str]:
    """Whom to wait for before requests wait for `part`; nobody if they do already."""
    facts, steps = seen
    if not (exchange(part, facts, steps).interrupts() and has_traffic(part, facts)):
        return frozenset()
    return (held_back(part, facts) | facts.unknown_others.keys()) - context.gates.exchanged(part)
