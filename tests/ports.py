"""Ports that belong to one test run at a time, also among those of several clones on one machine.

One that was found free and let go of may be somebody else's a moment later, so whole blocks are claimed, by a lock on a
file that ends with its holder. They lie below those that the kernel gives to outgoing connections (from 32768).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from enginehouse.planner.allocate import BLOCK, FIRST_PORT

CLAIMS = Path(tempfile.gettempdir(), f"enginehouse-test-ports-{os.getuid()}")
"""A file for each block of ports, locked by whoever uses it."""
LOWEST = 10000
"""Up to where the planner's own begin, which stacks of tests get by their names."""

_ours = ExitStack()
"""The claims of this process, until it ends."""


def claim_block(number: int, claim: ExitStack) -> bool:
    """Whether nobody else has that block; then it is ours until `claim` ends."""
    CLAIMS.mkdir(exist_ok=True)
    file = claim.enter_context((CLAIMS / str(number)).open("w"))
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def free_port() -> int:
    """A port of ours that nobody listens on and that no other call has given."""
    for port in _candidates:
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("no port is free")


@contextlib.contextmanager
def refusing_port() -> Iterator[int]:
    """A port that refuses connections, and that nobody else gets meanwhile: it is taken, and nobody listens."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        yield silent.getsockname()[1]


def _ports() -> Iterator[int]:
    for block in range(LOWEST // BLOCK, FIRST_PORT // BLOCK):
        if claim_block(block, _ours):
            yield from range(block * BLOCK, (block + 1) * BLOCK)


_candidates = _ports()
