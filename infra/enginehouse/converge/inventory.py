"""A look at a machine as a whole, in one round trip."""

from __future__ import annotations

from collections.abc import Sequence

from enginehouse.converge.context import Context
from enginehouse.inventory import Inventory, question, read
from enginehouse.planner.parts import Part

INVENTORY_S = 90.0
"""Every question in it to a program that may hang has a limit of its own, and those that hang together stay below: all
to Docker, or all to a driver."""


def take(part: Part, context: Context, files: Sequence[str] = (), images: Sequence[str] = ()) -> Inventory:
    """The machine that the part is on, and which of `files` (shell words) and `images` it has.

    Changes nothing, takes no lease.
    """
    connector, clock = context.connect(part), context.clock
    asked_at = clock.now().timestamp()
    result = connector.run(question(files, images), deadline_s=INVENTORY_S)
    result.check(f"{connector.host}: looking at the machine")
    return read(result.stdout, asked_at=asked_at, answered_at=clock.now().timestamp())
