"""`enginehouse status`: what runs, beside what the plan says."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor

from enginehouse.converge import Context
from enginehouse.errors import ExitCode
from enginehouse.planner.parts import Plan
from enginehouse.report.lines import json_lines
from enginehouse.report.status import StackStatus, status_plain, status_text
from enginehouse.verbs import Answer, Format
from enginehouse.verbs.machines import AT_ONCE, looking
from enginehouse.verbs.plans import planned
from enginehouse.verbs.stacks import stacks_from_here
from enginehouse.verbs.survey import survey


def status(stack: str | None, output: Format, progress: Callable[[str], None]) -> Answer:
    """One stack, or every stack of the folder that was deployed from here.

    Code `DIFFERS` if anything is not as planned. Raises `SpecError` if a stack can't be used.
    """
    names, others = ((stack,), ()) if stack else stacks_from_here()
    if others:
        progress(f"not deployed from here, so not asked: {', '.join(others)}; name one to ask it all the same")
    plans = [planned(name) for name in names]
    with ThreadPoolExecutor(AT_ONCE) as pool, looking("status", progress, *names) as context:
        found = [_survey(made, context, pool, progress) for made in plans]
    code = ExitCode.OK if all(one.ok() for one in found) else ExitCode.DIFFERS
    if output is Format.JSON:
        lines = tuple(row for one in found for row in json_lines(status_plain(one), indent=None))
        return Answer(lines=lines, code=code)
    return Answer(lines=status_text(found), code=code)


def _survey(made: Plan, context: Context, pool: Executor, progress: Callable[[str], None]) -> StackStatus:
    hosts = ", ".join(host.name for host in made.hosts)
    progress(f"{made.stack}: asking {hosts} about {len(made.parts())} parts")
    return survey(made, context, pool)
