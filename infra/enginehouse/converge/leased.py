"""A part's machine under the lease, for verbs that change something without converging."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import enginehouse.converge.engine_keys as engine_keys
from enginehouse.converge.context import Context
from enginehouse.converge.facts import Facts
from enginehouse.converge.look import gateway_away, is_there, look_around
from enginehouse.converge.room import room_named
from enginehouse.converge.work import Work
from enginehouse.errors import ConvergeFailed
from enginehouse.planner.parts import GatewayPart, Part, ReplicaPart


@contextmanager
def leased(part: Part, context: Context) -> Iterator[tuple[Work, Facts]]:
    """The part's machine under the lease, as it is now. Raises `ConvergeFailed` if the part is not there."""
    facts = look_around(part, context)
    if not is_there(part, facts):
        raise ConvergeFailed(f"{part.name} is not on {part.host}", reasons=("`pulumi up` brings it there",))
    check_reach(part, facts, context)
    work = Work.on(part, context, facts)
    with work.journal.kept(), room_named(part, context), leases(part, work, facts):
        yield work, look_around(part, context)


@contextmanager
def leases(part: Part, work: Work, facts: Facts) -> Iterator[None]:
    """The lease of the part's machine, and those of others on which its steps may be done."""
    with ExitStack() as stack:
        for there in (work, *(work.at(host) for host in _also(part, facts))):
            lease = work.context.leases.hold(
                there.connector, there.places.state, work.context.run, work.journal.taken_over
            )
            stack.enter_context(lease)
        yield


def check_reach(part: Part, facts: Facts, context: Context) -> None:
    """Raises `ConvergeFailed` if a replica's gateway can't be told, unless its machine is lost for ever."""
    if (why := gateway_away(part, facts)) and not set(facts.away) <= set(context.lost):
        raise ConvergeFailed(f"{why}; nothing was changed on {part.host}")


def _also(part: Part, facts: Facts) -> Iterator[str]:
    """Where the gateway of a replica is, if it is there already or has a key for it; where replicas left something for
    their gateway."""
    match part:
        case ReplicaPart() if facts.servers is not None or part.gateway.part in facts.others or engine_keys.asks(part):
            yield from facts.elsewhere
        case GatewayPart():
            leaving = {manifest.part.host for manifest in facts.others.values() if manifest.left}
            yield from sorted(leaving & facts.elsewhere.keys())
