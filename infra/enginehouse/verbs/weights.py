"""`enginehouse weights`: what machines keep of models, and removing what no stack needs any more."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from enginehouse.converge.stored import prune, stored
from enginehouse.report.lines import json_lines
from enginehouse.report.weights import pruned_text, stored_plain, stored_text
from enginehouse.verbs import Answer, Format
from enginehouse.verbs.each import of_each
from enginehouse.verbs.machines import AT_ONCE, changing, looking
from enginehouse.verbs.plans import planned


def list_weights(stack: str, output: Format, progress: Callable[[str], None]) -> Answer:
    """What the machines of the stack keep, of all stacks. Code `FAILED` if one can't be asked; the others are shown.

    Raises `SpecError` if the stack can't be used.
    """
    hosts = planned(stack).hosts
    with ThreadPoolExecutor(AT_ONCE) as pool, looking("weights", progress, stack) as context:
        told, code = of_each(hosts, lambda h: stored(h, context), progress, pool)
    found = {h.host: weights for h, weights in told}
    return Answer(lines=json_lines(stored_plain(found)) if output is Format.JSON else stored_text(found), code=code)


def prune_weights(stack: str, output: Format, progress: Callable[[str], None]) -> Answer:
    """Remove what no part of any stack on these machines needs; the answer lists that. Fails like `list_weights`."""
    hosts = planned(stack).hosts
    with ThreadPoolExecutor(AT_ONCE) as pool, changing("weights prune", progress, stack) as context:
        told, code = of_each(hosts, lambda h: prune(h, context), progress, pool)
    removed = {h.host: weights for h, weights in told}
    return Answer(lines=json_lines(stored_plain(removed)) if output is Format.JSON else pruned_text(removed), code=code)
