"""`enginehouse plan`: what `pulumi up` would bring about, part by part."""

from __future__ import annotations

from enginehouse.planner.codec import to_plain
from enginehouse.planner.plan import plan as plan_of
from enginehouse.report.lines import json_lines
from enginehouse.report.plan import plan_text
from enginehouse.verbs import Answer, Format
from enginehouse.verbs.stacks import valid_stack


def plan(stack: str, output: Format) -> Answer:
    """The plan of one stack. Raises `SpecError` if the stack can't be used."""
    found = valid_stack(stack)
    made = plan_of(found.spec, found.lock)
    return Answer(lines=json_lines(to_plain(made)) if output is Format.JSON else plan_text(made, found.lock))
