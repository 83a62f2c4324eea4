"""`enginehouse drain`, `cordon`, `undrain`, `freeze`, `unfreeze`: orders that stand until they end."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from enginehouse.converge import orders
from enginehouse.planner.parts import Plan, ReplicaPart
from enginehouse.report.orders import drained_text, ended_text, frozen_text
from enginehouse.verbs import Answer, InvalidInput
from enginehouse.verbs.machines import changing
from enginehouse.verbs.plans import planned, replicas_named

Progress = Callable[[str], None]


def drain(stack: str, part: str, *, reason: str, wait: bool, force: bool, door: str, progress: Progress) -> Answer:
    """Take the requests from a replica, or from all of a deployment, which needs `force`: nobody is left to serve them.

    Raises `SpecError` if the stack can't be used, `InvalidInput` if it has no such replica, and like `orders.drain`.
    """
    made = planned(stack)
    replicas = replicas_named(made, part)
    if not force:
        _check_some_left(made, replicas)
    with changing(door, progress) as context:
        given = [(r, orders.drain(r, context, reason=reason, wait=wait, force=force)) for r in replicas]
    return Answer(lines=tuple(row for r, order in given for row in drained_text(made.stack, r.name, order)))


def undrain(stack: str, part: str, *, progress: Progress) -> Answer:
    """Give the requests back to a replica, or to all of a deployment. Raises like `drain`."""
    made = planned(stack)
    with changing("undrain", progress) as context:
        ended = [(r.name, orders.undrain(r, context)) for r in replicas_named(made, part)]
    return Answer(lines=tuple(ended_text(name, "drained", order) for name, order in ended))


def freeze(stack: str, *, reason: str, progress: Progress) -> Answer:
    """Keep everything of the stack as it is, on all its machines. Raises `SpecError` and what `orders.freeze` does."""
    made = planned(stack)
    with changing("freeze", progress) as context:
        given = [(host.name, orders.freeze(host, context, reason=reason)) for host in made.hosts]
    return Answer(lines=tuple(row for name, order in given for row in frozen_text(made.stack, name, order)))


def unfreeze(stack: str, *, progress: Progress) -> Answer:
    """Let runs change the stack again. Raises `SpecError` and what `orders.unfreeze` does."""
    made = planned(stack)
    with changing("unfreeze", progress) as context:
        ended = [(f"{made.stack} on {host.name}", orders.unfreeze(host, context)) for host in made.hosts]
    return Answer(lines=tuple(ended_text(name, "frozen", order) for name, order in ended))


def _check_some_left(made: Plan, replicas: Sequence[ReplicaPart]) -> None:
    """Of each deployment, at each gateway."""
    for deployment, gateway in {(replica.deployment, replica.gateway.part) for replica in replicas}:
        ones = [r for r in made.replicas if (r.deployment, r.gateway.part) == (deployment, gateway)]
        if len(ones) > 1 and all(one in replicas for one in ones):
            raise InvalidInput(
                f"{deployment} would have no replica left that takes requests; name some of "
                f"{', '.join(one.name for one in ones)}, or say that you mean it (--force)"
            )
