"""Parts of one run that would write the same file take turns.

The lease keeps other runs away, not parts of the same one: two deployments of one model bring the same weights at once,
and two replicas that are exchanged at once save the states of the same gateway's servers.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from enginehouse.planner.parts import Part, WeightsPart

_guard = threading.Lock()
_files: defaultdict[tuple[str, str], threading.Lock] = defaultdict(threading.Lock)


@contextmanager
def turn(part: Part) -> Iterator[None]:
    """Inside, no other part of this process brings the same content to the same machine, by whatever name: a program is
    unpacked once for all of them. Free for all other kinds."""
    if not isinstance(part, WeightsPart):
        yield
        return
    with turn_at(part.host, part.sha256):
        yield


@contextmanager
def turn_at(host: str, path: str) -> Iterator[None]:
    """Inside, nobody else in this process is inside for the same file of the same machine."""
    with _guard:
        mine = _files[host, path]
    with mine:
        yield
