"""`enginehouse history`: how each part came to be what it is."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from enginehouse.converge.records import history as history_of
from enginehouse.report.history import history_plain, history_text
from enginehouse.report.lines import json_lines
from enginehouse.verbs import Answer, Format
from enginehouse.verbs.each import of_each
from enginehouse.verbs.machines import AT_ONCE, looking
from enginehouse.verbs.plans import parts_named, planned


def history(stack: str, part: str | None, output: Format, progress: Callable[[str], None]) -> Answer:
    """The kept generations of one part, a deployment's replicas, or all parts; newest first.

    Code `FAILED` if a machine can't be asked; what the others say is shown. Raises `SpecError` if the stack can't be
    used, `InvalidInput` if there is no such part.
    """
    made = planned(stack)
    parts = parts_named(made, part)
    with ThreadPoolExecutor(AT_ONCE) as pool, looking("history", progress, stack) as context:
        told, code = of_each(parts, lambda p: history_of(p, context), progress, pool)
    found = {p.name: manifests for p, manifests in told}
    if output is Format.JSON:
        return Answer(lines=json_lines(history_plain(made.stack, found)), code=code)
    return Answer(lines=history_text(made.stack, found, zone=None), code=code)
