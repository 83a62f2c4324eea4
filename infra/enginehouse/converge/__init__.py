"""Bring a part of a plan to its machine, look at what is there, take it away again.

    converge(part, context)   probe, steps, stage, activate; nothing to do is one round trip and no write
    observe(part, context)    what really is, in the part's own words
    foresee(part, context)    what a converge would do, and why
    destroy(part, context)    the part's own things and nothing else
    recorded(part, context)   its manifest

Beside them, `orders` drains, freezes and takes back, and `records` reads a part's history and the stack's journal.
Every door (our Pulumi provider, the command line) calls these and decides nothing itself. Inputs on the wire are
`as_inputs(part)`; an observation's `inputs` have the same shape, so that the two can be compared key by key.
"""

from __future__ import annotations

from enginehouse.converge.context import Context
from enginehouse.converge.run import Clock, Run, SystemClock
from enginehouse.converge.verbs import Foresight, Observed, converge, destroy, foresee, observe, recorded
from enginehouse.converge.wire import NOT_COMPARED, as_inputs, as_part

__all__ = [
    "NOT_COMPARED",
    "Clock",
    "Context",
    "Foresight",
    "Observed",
    "Run",
    "SystemClock",
    "as_inputs",
    "as_part",
    "converge",
    "destroy",
    "foresee",
    "observe",
    "recorded",
]
