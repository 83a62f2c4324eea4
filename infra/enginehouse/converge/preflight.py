"""Before a stack comes to a machine: everything that stands in its way there, at once, and nothing is changed."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from enginehouse.converge.context import Context
from enginehouse.converge.facts import Facts
from enginehouse.converge.inventory import take
from enginehouse.converge.look import is_there
from enginehouse.converge.probe import on_machine
from enginehouse.errors import ConvergeFailed, explain
from enginehouse.inventory import Inventory
from enginehouse.inventory.checks import Check, Weight, checks
from enginehouse.planner.needs import Needs
from enginehouse.planner.parts import HostPart, Part
from enginehouse.render.symbols import fill

_MIB = 1 << 20


@contextmanager
def ready(part: Part, context: Context, facts: Facts) -> Iterator[None]:
    """Around what finds out what a host needs done: adds what the rest of the stack needs of the machine.

    Asks only where nothing of the stack is yet: later each part sees for itself whether its change has a place.
    Raises `ConvergeFailed` with all reasons, those of the block included.
    """
    if not isinstance(part, HostPart) or context.needs is None or is_there(part, facts):
        yield
        return
    problems = [str(check) for check in preflight(part, context, context.needs) if not check.ok]
    try:
        yield
    except ConvergeFailed as error:
        problems += error.reasons or explain(error)
    if problems:  # some are found by both
        reasons = tuple(dict.fromkeys(problems))
        raise ConvergeFailed(f"{part.host} is not ready for {part.stack}; nothing was changed", reasons=reasons)


def preflight(part: HostPart, context: Context, needs: Needs) -> tuple[Check, ...]:
    """Every check, those that passed included; one round trip. Changes nothing."""
    files = [word for path in needs.weights for word in (on_machine(path), f"{on_machine(path)}.part")]
    found = take(part, context, files, needs.images)
    weights: dict[str, Weight] = {}
    missing: list[Check] = []
    for path, source in needs.weights.items():
        scheme, _, rest = source.partition("://")
        there = fill(path, {"state": found.state}, {})
        size = _size(context.uploads_from / rest) if scheme == "upload" else None
        if size is None:
            size = found.stored.get(there)
        if size is not None:
            weights[path] = _weight(size, there, found)
        elif scheme == "upload":
            missing.append(_absent(context.uploads_from / rest, "this side"))
        elif scheme == "host":
            missing.append(_absent(there, part.host))
    return (*checks(part, needs, found, weights), *missing)


def _size(file: Path) -> int | None:
    try:
        return file.stat().st_size
    except OSError:
        return None


def _weight(size: int, there: str, found: Inventory) -> Weight:
    missing = size - max(found.stored.get(there, 0), found.stored.get(f"{there}.part", 0))
    return Weight(size_mib=size // _MIB, missing_mib=max(0, missing) // _MIB)


def _absent(file: Path | str, where: str) -> Check:
    return Check(
        what="file",
        ok=False,
        found=f"{shlex.quote(str(file))} can't be read on {where}",
        needed="the file that the stack file names",
        remedy="bring it there, or change its `source`",
    )
