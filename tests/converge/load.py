"""Clients in a closed loop, streaming and not, that count every request."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.converge.harness import World


@dataclass
class Count:
    """What the clients saw. `failed` holds status and body of every request that was not answered in full."""

    answered: int = 0
    failed: list[tuple[int, bytes]] = field(default_factory=list)
    served_by: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, stream: bool, status: int, body: bytes) -> None:
        whole = body.endswith(b"data: [DONE]\n\n") if stream else status == 200
        with self.lock:
            if status == 200 and whole:
                self.answered += 1
                if not stream:
                    self.served_by.add(json.loads(body).get("served_by", ""))
            else:
                self.failed.append((status, body))


@contextmanager
def load(world: World, *, clients: int = 4, repeat: int = 4) -> Iterator[Count]:
    """Half of the clients stream; an answer has its text `repeat` times. All finish their last request."""
    count, stop = Count(), threading.Event()

    def run(stream: bool) -> None:
        while not stop.is_set():
            count.add(stream, *world.ask(stream=stream, repeat=repeat, max_tokens=8))

    threads = [threading.Thread(target=run, args=(number % 2 == 0,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield count
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def wait_for_answers(count: Count, more: int, within_s: float = 20) -> None:
    """Return when `more` requests have been answered from now on."""
    target, until = count.answered + more, time.monotonic() + within_s
    while count.answered < target:
        assert time.monotonic() < until, f"{count.answered} answered, {count.failed[:3]} failed"
        time.sleep(0.02)
