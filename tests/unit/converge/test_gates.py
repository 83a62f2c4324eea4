"""Threads at a gate."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import pytest

from enginehouse.converge.gates import Gates
from enginehouse.errors import Cancelled, GateClosed
from enginehouse.planner.parts import ReplicaPart
from enginehouse.rollout.gate import Exchange
from tests.simulated.plans import PLANS

FIRST = PLANS[1024].replicas[0]
SECOND = replace(FIRST, name="chat-box-1")
OTHER = replace(FIRST, name="embed-box-0", deployment="embed")


class Visit:
    """A replica on its way through, in a thread of its own; it stays inside until it is told how to end."""

    def __init__(self, gates: Gates, part: ReplicaPart, *wanted: Exchange) -> None:
        """`wanted` is what it is about to do at first and after its first wait; nothing special if left out."""
        self.gates = gates
        self.part = part
        self.wanted = list(wanted or [Exchange(name=part.name)])
        self.looks = 0
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

    def _go(self) -> int:
        with self.gates.passing(self.part, self.wanted[0], self._look, self._hear, self._check):
            self.inside.set()
            self._outcome.result(timeout=30)
        return self.looks

    def _look(self) -> Exchange:
        self.looks += 1
        return self.wanted[-1]

    def _hear(self, text: str) -> None:
        self.heard.append(text)
        self.waits.set()

    def _check(self) -> None:
        if self.cancelled.is_set():
            raise Cancelled("stopped")


def test_the_second_waits_for_the_canary_and_says_so() -> None:
    """It enters as soon as the canary is through, after another look at its machine."""
    gates = Gates()
    canary = Visit(gates, FIRST)
    assert canary.inside.wait(30)
    second = Visit(gates, SECOND)
    assert second.waits.wait(30)
    assert not second.inside.is_set()
    canary.end()
    assert second.inside.wait(30)
    second.end()
    assert (canary.result.result(30), second.result.result(30)) == (0, 1)
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
    assert canary.result.result(30) == 0


def test_room_that_is_gone_after_a_wait_is_seen_before_anything_is_touched() -> None:
    """It arrived with room beside what runs; now its requests would wait, and the third replica is drained."""
    gates = Gates()
    canary = Visit(gates, FIRST)
    assert canary.inside.wait(30)
    drained = {"chat-box-2": "by ada@desk since noon through drain: new memory"}
    beside, paused = (Exchange(name=SECOND.name, pauses=pauses, drained=drained) for pauses in (False, True))
    second = Visit(gates, SECOND, beside, paused)
    assert second.waits.wait(30)
    canary.end()
    with pytest.raises(GateClosed) as refusal:
        second.result.result(30)
    assert str(refusal.value) == (
        "chat-box-1 was not exchanged: there is no room for a second engine beside it, so its requests would wait, "
        "while chat-box-2 is drained by ada@desk since noon through drain: new memory, and "
        "`rollout.max_unavailable: 1` lets no more be missing; nothing was changed on it. "
        "`enginehouse undrain demo chat-box-2`, or a larger `max_unavailable`, and the next run continues"
    )


def test_who_can_not_be_asked_counts_as_drained() -> None:
    """What helps then is that its machine answers."""
    wanted = Exchange(name=SECOND.name, pauses=True, unknown={"chat-far-0": "far: no route"})
    with pytest.raises(GateClosed) as refusal:
        Visit(Gates(), SECOND, wanted).result.result(30)
    assert "while chat-far-0 gets no requests, and far: no route, and `rollout" in str(refusal.value)
    assert "Once it answers, or a larger `max_unavailable`, and the next run continues" in str(refusal.value)


def test_a_start_that_fails_closes_the_gate_for_those_that_waited_for_it_alone() -> None:
    """Somebody who comes later may be what helps."""
    gates = Gates()
    with pytest.raises(RuntimeError), gates.starting(SECOND, 100):
        assert gates.starts(FIRST, {SECOND.name})
        gates.check_open(FIRST, {SECOND.name})
        raise RuntimeError("no")
    assert not gates.starts(FIRST, {SECOND.name})
    with pytest.raises(GateClosed, match="chat-box-0 was not exchanged, because chat-box-1, which gets no requests"):
        gates.check_open(FIRST, {SECOND.name})
    gates.check_open(FIRST, ())


def test_deployments_do_not_wait_for_each_other() -> None:
    """Each has a gate of its own."""
    gates = Gates()
    visits = [Visit(gates, FIRST), Visit(gates, OTHER)]
    for visit in visits:
        assert visit.inside.wait(30)
        visit.end()
    assert [visit.result.result(30) for visit in visits] == [0, 0]


def test_who_starts_beside_what_runs_waits_while_others_may_take_its_memory() -> None:
    """Whatever their deployment; once they are through, the machine is looked at anew. Other machines do not count."""
    gates = Gates()
    first = Visit(gates, FIRST, Exchange(name=FIRST.name, memory_mib=300, free_mib=500))
    assert first.inside.wait(30)
    second = Visit(gates, OTHER, Exchange(name=OTHER.name, memory_mib=201, free_mib=500))
    assert second.waits.wait(30)
    assert second.heard[0] == "waiting for memory that chat-box-0 may take first"
    enough = Visit(gates, named("enough-box-0"), Exchange(name="enough-box-0", memory_mib=200, free_mib=500))
    far = Visit(gates, replace(named("far-0"), host="far"), Exchange(name="far-0", memory_mib=500, free_mib=500))
    pauses = Visit(gates, named("pauses-box-0"), Exchange(name="pauses-box-0", memory_mib=9, pauses=True))
    for visit in (enough, far, pauses):
        assert visit.inside.wait(30)
        visit.end()
        visit.result.result(30)
    first.end()
    assert second.inside.wait(30)
    second.end()
    assert second.result.result(30) == 1


def test_memory_of_a_first_start_is_not_counted_on_either() -> None:
    """It waits for nobody itself; when it failed, what it may have taken is free again."""
    gates = Gates()
    with pytest.raises(RuntimeError), gates.starting(OTHER, 300):
        second = Visit(gates, FIRST, Exchange(name=FIRST.name, memory_mib=300, free_mib=500))
        assert second.waits.wait(30)
        raise RuntimeError
    assert second.inside.wait(30)
    second.end()


def named(name: str) -> ReplicaPart:
    """A replica of a deployment of its own."""
    return replace(FIRST, name=name, deployment=name)
