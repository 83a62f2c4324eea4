"""`enginehouse history`: how each part came to be what it is."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from enginehouse.converge.records import history as history_of
from enginehouse.report.history import history_plain, history_text
from enginehouse.report.lines import json_lines
from enginehouse.verbs import Answer, Format
from enginehouse.verbs.machines import looking
from enginehouse.verbs.plans import parts_named, planned

AT_ONCE = 16


def history(stack: str, part: str | None, output: Format, progress: Callable[[str], None]) -> Answer:
    """The kept generations of one part, a deployment's replicas, or all parts; newest first.

    Raises `SpecError` if the stack can't be used, `InvalidInput` if there is no such part.
    """
    made = planned(stack)
    parts = parts_named(made, part)
    with ThreadPoolExecutor(AT_ONCE) as pool, looking("history", progress) as context:
        found = dict(zip((p.name for p in parts), pool.map(lambda p: history_of(p, context), parts), strict=True))
    if output is Format.JSON:
        return Answer(lines=json_lines(history_plain(made.stack, found)))
    return Answer(lines=history_text(made.stack, found, zone=None))
