"""One case: a scenario's run with a fault at one step, then a run that is let through."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.faults.cases import Case
from tests.faults.faults import FAULTS, mend, run_with
from tests.faults.faulty import FaultyWorld, MortalRuns
from tests.faults.judge import Judge
from tests.faults.scenarios import SCENARIOS
from tests.faults.settled import assert_settled, generations, violations

DOWN_AT_FIRST = {"first-up", "supervisor-died"}
"""Scenarios in which the gateway starts, so that clients find nobody for a while."""
PAUSE_S = 0.1
"""Between two requests: an engine is idle most of the time, and stops when it is told to."""


def play(case: Case, world: FaultyWorld, judge: Judge, mortal: MortalRuns) -> None:
    """Raises `AssertionError` if something is not as it has to be in the end."""
    fault = FAULTS[case.fault]
    SCENARIOS[case.scenario](world)
    before = {} if case.scenario == "first-up" else generations(world)
    world.events.clear()
    with client(world) as failed:
        run_with(fault, case.boundary, world, mortal)
        mend(world)
        changes = world.line.changes
        world.run_id = "run-2"
        world.up()
    world.run_id = "run-1"
    if fault.strike is None and world.line.changes > changes:
        assert any("took over the lease of a run that died" in text for text in world.texts())
    if not (fault.fails_requests or case.scenario in DOWN_AT_FIRST):
        assert failed == []
    assert_settled(world, before)
    if not fault.litters:
        assert [str(path) for path in world.state.rglob("*.new")] == []
    for path in world.state.rglob("*.new"):
        path.unlink()
    assert violations(world, judge) == []


@contextmanager
def client(world: FaultyWorld) -> Iterator[list[tuple[int, bytes]]]:
    """Asks now and then; gives the answers that are none."""
    failed: list[tuple[int, bytes]] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.wait(PAUSE_S):
            answer = world.ask()
            if answer[0] != 200:
                failed.append(answer)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield failed
    finally:
        stop.set()
        thread.join()
