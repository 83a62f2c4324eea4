"""Standing orders: a replica gets no requests, a stack stays as it is, until a person takes it back.

    drain, undrain       one replica
    freeze, unfreeze     a whole stack on one machine; nothing changes and nothing heals

An order is written before it is carried out, and taken back before its effect is undone: whatever is interrupted then,
the next `up` does what is ordered. All four are idempotent and change no generation.
"""

from __future__ import annotations

from dataclasses import replace

from enginehouse.converge import scripts
from enginehouse.converge.context import Context
from enginehouse.converge.execute import execute
from enginehouse.converge.facts import Facts
from enginehouse.converge.journal import Word
from enginehouse.converge.leased import leased
from enginehouse.converge.look import check_frozen
from enginehouse.converge.replica import drain as steps_to_drain
from enginehouse.converge.replica import undrain as steps_to_undrain
from enginehouse.converge.runners import Replica
from enginehouse.converge.standing import Order, to_json
from enginehouse.converge.steps import Placed, Seat
from enginehouse.converge.work import Work
from enginehouse.errors import ConvergeFailed
from enginehouse.planner.parts import GatewayPart, HostPart, ReplicaPart

__all__ = ["Order", "drain", "freeze", "undrain", "unfreeze"]


def freeze(host: HostPart, context: Context, *, reason: str) -> Order:
    """From now on nothing of the stack changes on this machine; the order that stands."""
    with leased(host, context) as (work, facts):
        return _give(work, work.places.frozen, Word.FROZEN, facts.frozen, reason)


def unfreeze(host: HostPart, context: Context) -> Order | None:
    """Changes are possible again; the order that stood, None if there was none."""
    with leased(host, context) as (work, facts):
        _take_back(work, work.places.frozen, Word.UNFROZEN, facts.frozen)
        return facts.frozen


def drain(part: ReplicaPart, context: Context, *, reason: str, wait: bool, force: bool = False) -> Order:
    """From now on the replica gets no requests; with `wait`, return when it has finished those it has.

    Raises `ConvergeFailed` if no other replica could take its requests, unless `force`; `Frozen`.
    """
    with leased(part, context) as (work, facts):
        check_frozen(part, facts)
        known = _known(part, facts)
        if not (force or facts.drained):
            _check_not_last(known, facts)
        order = _give(work, work.places.drained, Word.DRAINED, facts.drained, reason)
        execute(steps_to_drain(known, facts, wait=wait), work)
        return order


def undrain(part: ReplicaPart, context: Context) -> Order | None:
    """The replica gets requests again, as soon as its engine is ready; the order that stood, None if there was none.

    Raises `ConvergeFailed` if the gateway can't use it; `Frozen`.
    """
    with leased(part, context) as (work, facts):
        check_frozen(part, facts)
        known = _known(part, facts)
        _take_back(work, work.places.drained, Word.UNDRAINED, facts.drained)
        execute(steps_to_undrain(known, replace(facts, drained=None)), work)
        return facts.drained


def _give(work: Work, path: str, word: Word, standing: Order | None, reason: str) -> Order:
    """Write the order, unless one with the same reason stands."""
    if standing and standing.reason == reason:
        return standing
    entry = work.journal.entry(word, reason)
    order = Order(run=entry.run, who=entry.who, door=entry.door, at=entry.at, reason=reason)
    with work.journal.along(entry) as notes:
        script, stdin = scripts.place([Placed(path=path, content=to_json(order), mode=0o600)], then=notes)
        work.do(f"writing {path}", script, stdin=stdin)
    return order


def _take_back(work: Work, path: str, word: Word, standing: Order | None) -> None:
    if standing:
        with work.journal.along(work.journal.entry(word, f"was {word.removeprefix('un')} {standing}")) as notes:
            work.do(f"removing {path}", scripts.remove(path, then=notes))


def _known(part: ReplicaPart, facts: Facts) -> ReplicaPart:
    """The replica as it was converged: an edit that is not there yet may have other ports."""
    known = facts.manifest.part if facts.manifest else part
    return known if isinstance(known, ReplicaPart) else part


def _check_not_last(part: ReplicaPart, facts: Facts) -> None:
    if _is_last_of_its_backend(part, facts):
        gateway = facts.others.get(part.gateway.part)
        queued = f" {gateway.part.limits.queue_s} s" if gateway and isinstance(gateway.part, GatewayPart) else ""
        raise ConvergeFailed(
            f"{part.name} is the last replica of {part.deployment} that takes requests; it is not drained",
            reasons=(
                f"without it, requests would wait{queued} at the gateway and then get 503",
                "undrain or mend another replica first, or say that you mean it (--force)",
            ),
        )


def _is_last_of_its_backend(part: ReplicaPart, facts: Facts) -> bool:
    """Whether the gateway can use no other replica for the requests of this one."""
    seats = Replica(part, facts, {}).seats()
    backends = {seat.backend for seat in seats}
    others = [row for row in facts.servers or () if Seat(backend=row.backend, server=row.server) not in seats]
    return bool(seats) and not any(row.is_usable() for row in others if row.backend in backends)
