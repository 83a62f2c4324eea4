"""Threads at a gate."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import pytest

from enginehouse.converge.gates import Gates
from enginehouse.errors import Cancelled, GateClosed
from enginehouse.planner.parts import ReplicaPart
from tests.simulated.plans import PLANS

FIRST = PLANS[1024].replicas[0]
SECOND = replace(FIRST, name="chat-box-1")
OTHER = replace(FIRST, name="embed-box-0", deployment="embed")


class Visit:
    """A replica on its way through, in a thread of its own; it stays inside until it is told how to end."""

    def __init__(self, gates: Gates, part: ReplicaPart) -> None:
        self.gates = gates
        self.part = part
        self.inside = threading.Event()
        self.waits = threading.Event()
        self.cancelled = threading.Event()
        self.heard: list[str] = []
        self._outcome: Future[None] = Future()
        self._pool = ThreadPoolExecutor(1)
        self.result = self._pool.submit(self._go)

    def end(self, error: Exception | None = None) -> None:
        if error:
            self._outcome.set_exception(error)
        else:
            self._outcome.set_result(None)

    def _go(self) -> bool:
        with self.gates.passing(self.part, self._hear, self._check) as waited:
            self.inside.set()
            self._outcome.result(timeout=30)
            return waited

    def _hear(self, text: str) -> None:
        self.heard.append(text)
        self.waits.set()

    def _check(self) -> None:
        if self.cancelled.is_set():
            raise Cancelled("stopped")


def test_the_second_waits_for_the_canary_and_says_so() -> None:
    """It enters as soon as the canary is through, and knows that it had to wait."""
    gates = Gates()
    canary = Visit(gates, FIRST)
    assert canary.inside.wait(30)
    second = Visit(gates, SECOND)
    assert second.waits.wait(30)
    assert not second.inside.is_set()
    canary.end()
    assert second.inside.wait(30)
    second.end()
    assert (canary.result.result(30), second.result.result(30)) == (False, True)
    assert set(second.heard) == {"waiting for chat-box-0, the canary"}


def test_a_failed_canary_leaves_the_others_as_they_are() -> None:
    """They are told who failed and that nothing was changed on them; so is one that comes later."""
    gates = Gates()
    canary = Visit(gates, FIRST)
    assert canary.inside.wait(30)
    second = Visit(gates, SECOND)
    assert second.waits.wait(30)
    canary.end(RuntimeError("no"))
    told = "chat-box-1 was not exchanged, because chat-box-0, the canary, failed; nothing was changed on it"
    with pytest.raises(GateClosed, match=told):
        second.result.result(30)
    with pytest.raises(GateClosed, match=told):
        Visit(gates, SECOND).result.result(30)
    with pytest.raises(RuntimeError):
        canary.result.result(30)


def test_a_wish_to_stop_is_heard_while_waiting() -> None:
    """The one inside is not disturbed."""
    gates = Gates()
    canary = Visit(gates, FIRST)
    assert canary.inside.wait(30)
    second = Visit(gates, SECOND)
    assert second.waits.wait(30)
    second.cancelled.set()
    with pytest.raises(Cancelled):
        second.result.result(30)
    canary.end()
    assert canary.result.result(30) is False


def test_deployments_do_not_wait_for_each_other() -> None:
    """Each has a gate of its own."""
    gates = Gates()
    visits = [Visit(gates, FIRST), Visit(gates, OTHER)]
    for visit in visits:
        assert visit.inside.wait(30)
        visit.end()
    assert [visit.result.result(30) for visit in visits] == [False, False]
