"""Brings a stack to all its machines at once: `ours.py STACK_FILE KEY`. What a run over a fleet does, as one process.

As in `pulumi up`, everything is looked at first, all at once, and nothing more is done where nothing differs. On a
machine where something does, the parts from there on are brought in order, through the verb that the provider calls.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from enginehouse.connectors import Connectors
from enginehouse.converge import Context, Run, as_inputs, converge, observe
from enginehouse.planner.diff import differing
from enginehouse.planner.parts import Part
from enginehouse.planner.plan import plan
from enginehouse.render.symbols import Secret
from enginehouse.verbs.stacks import valid_stack


def main(file: str, key: str) -> None:
    found = valid_stack(file)
    made = plan(found.spec, found.lock)
    with closing(Connectors()) as connectors:
        context = Context(
            run=Run(id="fleet", who="bench@desk", door="bench"),
            connectors=connectors,
            listen=lambda event: None,
            secrets={name: Secret(key) for name in made.secrets()},
            uploads_from=Path(file).parent,
        )
        by_host = [[part for part in made.parts() if part.host == host.host] for host in made.hosts]
        with ThreadPoolExecutor(len(made.parts())) as looking, ThreadPoolExecutor(len(by_host)) as bringing:
            looks = [[looking.submit(_differs, part, context) for part in parts] for parts in by_host]
            list(bringing.map(lambda parts, found: _bring(parts, found, context), by_host, looks))


def _differs(part: Part, context: Context) -> bool:
    """Whether the part is not there, not as it is planned, or does not do its work."""
    found = observe(part, context)
    return found is None or bool(found.reasons or differing(found.inputs, as_inputs(part)))


def _bring(parts: Sequence[Part], looks: Sequence[Future[bool]], context: Context) -> None:
    first = next((number for number, look in enumerate(looks) if look.result()), len(parts))
    for part in parts[first:]:
        converge(part, context)


if __name__ == "__main__":
    main(*sys.argv[1:])
