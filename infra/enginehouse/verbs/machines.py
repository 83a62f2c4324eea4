"""How a verb that only looks gets to machines."""

from __future__ import annotations

import getpass
import platform
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from enginehouse.connectors import Connectors
from enginehouse.converge import Context, Run
from enginehouse.converge.events import Event

AT_ONCE = 16
"""Probes at the same time. Each is one short script; with more of them a small machine only gets slower."""


@contextmanager
def looking(door: str, progress: Callable[[str], None]) -> Iterator[Context]:
    """A context without secrets and uploads. When it is left, also by Ctrl-C, what still runs on a machine is ended."""

    def listen(event: Event) -> None:
        progress(f"{event.part}: {event.text}")

    run = Run(id=uuid.uuid4().hex, who=f"{getpass.getuser()}@{platform.node()}", door=door)
    with closing(Connectors()) as connectors:
        yield Context(run=run, connectors=connectors, listen=listen, uploads_from=Path())
