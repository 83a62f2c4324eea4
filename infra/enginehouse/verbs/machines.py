"""How a verb gets to machines: to look, or to change something."""

from __future__ import annotations

import getpass
import platform
import signal
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType

from enginehouse.connectors import Connectors
from enginehouse.converge import Context, Run
from enginehouse.converge.events import Event
from enginehouse.verbs.secrets import Passwords

AT_ONCE = 16
"""Probes at the same time. Each is one short script; with more of them a small machine only gets slower."""


@contextmanager
def looking(door: str, progress: Callable[[str], None], *stacks: str) -> Iterator[Context]:
    """A context without secrets and uploads, for the machines of `stacks`, by name or path.

    The password that sudo may need there is looked up when it is needed. When the block is left, also by Ctrl-C, what
    still runs on a machine is ended.
    """

    def listen(event: Event) -> None:
        progress(f"{event.part}: {event.text}")

    run = Run(id=uuid.uuid4().hex, who=f"{getpass.getuser()}@{platform.node()}", door=door)
    with closing(Connectors(passwords=Passwords(stacks))) as connectors:
        yield Context(run=run, connectors=connectors, listen=listen, uploads_from=Path())


@contextmanager
def changing(door: str, progress: Callable[[str], None], stack: str) -> Iterator[Context]:
    """Like `looking`, for work that must not be torn apart: the first Ctrl-C is a wish, which lets things be put back.

    The second one ends everything at once; the next run then continues.
    """
    with looking(door, progress, stack) as context, _wish_to_stop(context.cancelled, progress):
        yield context


@contextmanager
def _wish_to_stop(wish: threading.Event, progress: Callable[[str], None]) -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, before)
        wish.set()
        progress("stopping; Ctrl-C again ends it at once")

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
