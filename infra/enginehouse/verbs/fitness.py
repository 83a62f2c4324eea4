"""Whether the machines of a stack can carry it, asked by hand."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path

from enginehouse.converge import Context
from enginehouse.converge.preflight import preflight
from enginehouse.errors import EnginehouseError, explain
from enginehouse.inventory.checks import Check
from enginehouse.planner.needs import needs_of
from enginehouse.planner.parts import HostPart, Plan
from enginehouse.report.doctor import Finding, Health


def fitness(plan: Plan, uploads_from: Path, context: Context, pool: Executor) -> Iterator[Finding]:
    """What `pulumi up` looks at before it puts anything on a machine; all machines at once."""
    here = replace(context, uploads_from=uploads_from)
    for findings in pool.map(lambda host: tuple(_of(host, plan, here)), plan.hosts):
        yield from findings


def _of(host: HostPart, plan: Plan, context: Context) -> Iterator[Finding]:
    try:
        checks = preflight(host, context, needs_of(plan, host.name))
    except EnginehouseError as error:
        first, *more = explain(error)
        yield Finding(
            name=f"machine {host.name}",
            health=Health.MISSING,
            version=first,
            where=host.stack,
            needed="a machine that answers",
            remedy="; ".join(more) or "bring it up, then ask again",
        )
        return
    yield from (_finding(check, host) for check in checks)


def _finding(check: Check, host: HostPart) -> Finding:
    return Finding(
        name=f"{check.what} on {host.name}",
        health=Health.OK if check.ok else Health.WRONG,
        version=check.found,
        where=host.stack,
        needed=check.needed,
        remedy=check.remedy,
    )
