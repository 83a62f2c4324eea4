"""The plan of the stack's files, or all that is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pulumi
from components.stop import stop
from enginehouse.diagnostics import as_text
from enginehouse.errors import SpecError
from enginehouse.planner.parts import Plan
from enginehouse.planner.plan import plan
from enginehouse.spec import find_stack, load

STACKS = "stacks"


def plan_of(stack: str, project: Path) -> Plan:
    """The plan of `project`/stacks/STACK.yaml and its lock file; their warnings are shown.

    Stops with every diagnostic, in the words of `enginehouse validate`, if it can't be deployed.
    """
    try:
        path = find_stack(stack, project / STACKS)
    except SpecError as error:
        stop(f"{error}\n{as_text(error.diagnostics, {})}")
    loaded = load(path, display=str(path.relative_to(project)))
    text = as_text(loaded.diagnostics, loaded.sources)
    if loaded.spec is None or not loaded.ok:
        stop(f"{SpecError(loaded.diagnostics)}\n{text}")
    if text:
        pulumi.log.warn(text)
    return plan(loaded.spec, loaded.lock)
