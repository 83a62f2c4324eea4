"""`enginehouse drain`, `cordon`, `undrain`, `freeze`, `unfreeze`: orders that stand until they end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from enginehouse.converge import orders
from enginehouse.planner.parts import Plan, ReplicaPart
from enginehouse.report.orders import drained_text, ended_text, frozen_text
from enginehouse.verbs import Answer, InvalidInput
from enginehouse.verbs.each import of_each
from enginehouse.verbs.machines import AT_ONCE, changing
from enginehouse.verbs.plans import planned, replicas_named

Progress = Callable[[str], None]


def drain(stack: str, part: str, *, reason: str, wait: bool, force: bool, door: str, progress: Progress) -> Answer:
    """Take the requests from a replica, or from all of a deployment, which needs `force`: nobody is left to serve them.

    One that can't be drained does not keep the others from it; the code is `FAILED` then, as with all orders.
    Raises `SpecError` if the stack can't be used, `InvalidInput` if it has no such replica, and like `orders.drain`.
    """
    made = planned(stack)
    replicas = replicas_named(made, part)
    if not force:
        _check_some_left(made, replicas)
    with changing(door, progress, stack) as context:
        one = partial(orders.drain, context=context, reason=reason, wait=wait, force=force)
        given, code = of_each(replicas, one, progress)
    return Answer(lines=tuple(row for r, order in given for row in drained_text(made.stack, r.name, order)), code=code)


def undrain(stack: str, part: str, *, progress: Progress) -> Answer:
    """Give the requests back to a replica, or to all of a deployment. Raises like `drain`."""
    made = planned(stack)
    with changing("undrain", progress, stack) as context:
        ended, code = of_each(replicas_named(made, part), partial(orders.undrain, context=context), progress)
    return Answer(lines=tuple(ended_text(r.name, "drained", order) for r, order in ended), code=code)


def freeze(stack: str, *, reason: str, progress: Progress) -> Answer:
    """Keep everything of the stack as it is, on all its machines. Raises `SpecError` and what `orders.freeze` does."""
    made = planned(stack)
    with ThreadPoolExecutor(AT_ONCE) as pool, changing("freeze", progress, stack) as context:
        given, code = of_each(made.hosts, partial(orders.freeze, context=context, reason=reason), progress, pool)
    lines = tuple(row for host, order in given for row in frozen_text(made.stack, host.name, order))
    return Answer(lines=lines, code=code)


def unfreeze(stack: str, *, progress: Progress) -> Answer:
    """Let runs change the stack again. Raises `SpecError` and what `orders.unfreeze` does."""
    made = planned(stack)
    with ThreadPoolExecutor(AT_ONCE) as pool, changing("unfreeze", progress, stack) as context:
        ended, code = of_each(made.hosts, partial(orders.unfreeze, context=context), progress, pool)
    lines = tuple(ended_text(f"{made.stack} on {host.name}", "frozen", order) for host, order in ended)
    return Answer(lines=lines, code=code)


def _check_some_left(made: Plan, replicas: Sequence[ReplicaPart]) -> None:
    """Of each deployment, at each gateway."""
    for deployment, gateway in {(replica.deployment, replica.gateway.part) for replica in replicas}:
        ones = [r for r in made.replicas if (r.deployment, r.gateway.part) == (deployment, gateway)]
        if len(ones) > 1 and all(one in replicas for one in ones):
            raise InvalidInput(
                f"{deployment} would have no replica left that takes requests; name some of "
                f"{', '.join(one.name for one in ones)}, or say that you mean it (--force)"
            )
