"""A part's machine under the lease, for verbs that change something without converging."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from enginehouse.converge.context import Context
from enginehouse.converge.facts import Facts
from enginehouse.converge.look import is_there, look
from enginehouse.converge.places import Places
from enginehouse.converge.room import room_named
from enginehouse.converge.work import Work
from enginehouse.errors import ConvergeFailed
from enginehouse.planner.parts import Part


@contextmanager
def leased(part: Part, context: Context) -> Iterator[tuple[Work, Facts]]:
    """The part's machine under the lease, as it is now. Raises `ConvergeFailed` if the part is not there."""
    connector = context.connect(part)
    facts = look(part, connector)
    if not is_there(part, facts):
        raise ConvergeFailed(f"{part.name} is not on {part.host}", reasons=("`pulumi up` brings it there",))
    work = Work(context, connector, part.name, Places.of(part, facts.state))
    with (
        work.journal.kept(),
        room_named(part, connector),
        context.leases.hold(connector, facts.state, context.run, work.journal.taken_over),
    ):
        yield work, look(part, connector)
