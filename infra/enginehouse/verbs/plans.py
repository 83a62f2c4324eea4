"""The plan of a stack that a person names."""

from __future__ import annotations

from enginehouse.planner.parts import Plan
from enginehouse.planner.plan import plan
from enginehouse.verbs.stacks import valid_stack


def planned(name_or_path: str) -> Plan:
    """From the stack file and its lock file. Raises `SpecError` with every problem of a stack that can't be used."""
    found = valid_stack(name_or_path)
    return plan(found.spec, found.lock)
