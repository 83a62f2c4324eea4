"""Clients in a closed loop, streaming and not, that count every request."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.converge.harness import SOON_S, World

ANSWER_S = 120
"""Longer than the gateway lets a request wait, so that a client sees what the gateway does about it."""


@dataclass
class Count:
    """What the clients saw. `failed` holds status and body of every request that was not answered in full."""

    answered: int = 0
    failed: list[tuple[int, bytes]] = field(default_factory=list)
    served_by: set[str] = field(default_factory=set)
    texts: set[str] = field(default_factory=set)
    """How answers began, eight characters: models that say different things are told apart by it."""
    longest_s: float = 0.0
    """The longest time from a request to the end of its answer."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, stream: bool, status: int, body: bytes, took_s: float, length: int | None) -> None:
        text = _text(stream, body) if status == 200 else None
        with self.lock:
            self.longest_s = max(self.longest_s, took_s)
            if text is None or length not in (None, len(text)):
                self.failed.append((status, body))
                return
            self.answered += 1
            self.texts.add(text[:8])
            if not stream:
                self.served_by.add(json.loads(body).get("served_by", ""))

    def __str__(self) -> str:
        requests = self.answered + len(self.failed)
        return f"{requests} requests, {len(self.failed)} failed, the longest took {self.longest_s:.2f} s"


@contextmanager
def load(
    world: World, *, clients: int = 4, repeat: int = 4, tokens: Iterable[int] = (), keep: bool = False
) -> Iterator[Count]:
    """Every second client streams, every third and fourth one (with `keep`, every one) keeps its connection.

    All finish their last request. One whose connection was closed goes on at the endpoint as it is planned then.

    The stand-in says its text `repeat` times. With `tokens`, each client asks for so many in turn, and an answer that
    has not exactly that many characters is a failure: the tiny model says one a token.
    """
    count, stop = Count(), threading.Event()

    def run(number: int) -> None:
        stream, kept = number % 2 == 0, world.connection(ANSWER_S)
        lengths = itertools.islice(itertools.cycle(tokens or [None]), number, None)
        while not stop.is_set():
            kept, length = kept if kept.sock else world.connection(ANSWER_S), next(lengths)
            began = time.monotonic()
            answer = world.ask(stream=stream, kept=kept, repeat=repeat, max_tokens=length or 8)
            count.add(stream, *answer, time.monotonic() - began, length)
            if number % 4 < 2 and not keep:
                kept.close()
        kept.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield count
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def wait_for_answers(count: Count, more: int, within_s: float = SOON_S) -> None:
    """Return when `more` requests have been answered from now on."""
    target, until = count.answered + more, time.monotonic() + within_s
    while count.answered < target:
        assert time.monotonic() < until, f"{count.answered} answered, {count.failed[:3]} failed"
        time.sleep(0.02)


def _text(stream: bool, body: bytes) -> str | None:
    """What an answer says; None if it is not whole."""
    if not stream:
        return str(json.loads(body)["choices"][0]["message"]["content"])
    if not body.endswith(b"data: [DONE]\n\n"):
        return None
    events = [line[6:] for line in body.splitlines() if line.startswith(b"data: {")]
    deltas = (choice["delta"] for event in events for choice in json.loads(event)["choices"])
    return "".join(delta.get("content") or "" for delta in deltas)
