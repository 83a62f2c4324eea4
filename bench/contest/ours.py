"""Brings a stack to all its machines at once: `ours.py STACK_FILE`. What a run over a fleet does, as one process.

The parts of a machine come one after the other, as in Pulumi, through the verb that the provider calls.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from enginehouse.connectors import Connectors
from enginehouse.converge import Context, Run, converge
from enginehouse.planner.parts import HostPart, Plan
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
        with ThreadPoolExecutor(len(made.hosts)) as pool:
            list(pool.map(lambda host: _bring(made, host, context), made.hosts))


def _bring(made: Plan, host: HostPart, context: Context) -> None:
    for part in made.parts():
        if part.host == host.host:
            converge(part, context)


if __name__ == "__main__":
    main(*sys.argv[1:])
