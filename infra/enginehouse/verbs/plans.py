"""The plan of a stack that a person names, and the parts of it that a word means."""

from __future__ import annotations

from enginehouse.planner.parts import Part, Plan, ReplicaPart
from enginehouse.planner.plan import plan
from enginehouse.spec.codes import Code
from enginehouse.spec.wording import did_you_mean
from enginehouse.verbs import InvalidInput
from enginehouse.verbs.stacks import valid_stack


def planned(name_or_path: str) -> Plan:
    """From the stack file and its lock file. Raises `SpecError` with every problem of a stack that can't be used.

    A certificate that has ended is none here: it ends by itself, and then a stack that runs has to be looked at.
    """
    found = valid_stack(name_or_path, despite={Code.CERTIFICATE_ENDED})
    return plan(found.spec, found.lock)


def parts_named(plan: Plan, name: str | None) -> tuple[Part, ...]:
    """The part of that name, or all replicas of the deployment of that name; every part for None.

    Raises `InvalidInput` that names what there is.
    """
    if name is None:
        return plan.parts()
    return tuple(p for p in plan.parts() if name in _names(p)) or _refuse(plan, name, plan.parts())


def replicas_named(plan: Plan, name: str) -> tuple[ReplicaPart, ...]:
    """The replica of that name, or all of that deployment. Raises `InvalidInput` that names what there is."""
    return tuple(r for r in plan.replicas if name in _names(r)) or _refuse(plan, name, plan.replicas)


def _names(part: Part) -> tuple[str, ...]:
    return (part.name, part.deployment) if isinstance(part, ReplicaPart) else (part.name,)


def _refuse(plan: Plan, name: str, parts: tuple[Part, ...]) -> tuple[()]:
    known = dict.fromkeys(name for part in parts for name in _names(part))
    raise InvalidInput(f'{plan.stack} has no "{name}" for this; {did_you_mean(name, list(known), "it has")}')
