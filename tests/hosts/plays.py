"""Cases of faults on machines of the lab: played by several machines at once, and judged."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest

from tests.faults.cases import Case
from tests.faults.faults import Fault, run_with
from tests.faults.faulty import MortalRuns, mortal_runs
from tests.faults.judge import Judge
from tests.faults.settled import assert_settled, generations, violations
from tests.hosts import census
from tests.hosts.faults import mend
from tests.hosts.faulty import FaultyHostWorld
from tests.hosts.lab import Machine
from tests.hosts.world import LOGIN, PORT

MORTAL = "tests.hosts.mortal"
READY_WITHIN_S = 90
"""For a stand-in on a machine that others keep busy."""

W = TypeVar("W", bound=FaultyHostWorld)
Worlds = contextlib.AbstractContextManager[FaultyHostWorld]
Play = Callable[[Case, FaultyHostWorld, Judge, MortalRuns], None]


class Plays:
    """Cases that are played by several machines at once; one on which a case failed is thrown away."""

    def __init__(self, cases: Iterable[Case], play: Play, new_world: Callable[[int], Worlds], at_once: int) -> None:
        """`new_world` makes a stack that is up, on a machine with that number."""
        self._play_on, self._new_world = play, new_world
        self._mine = threading.local()
        self._machines: list[contextlib.ExitStack] = []
        self._numbers = itertools.count()
        self._pool = ThreadPoolExecutor(at_once)
        self._futures = {case: self._pool.submit(self._play, case) for case in cases}

    def outcome(self, case: Case) -> None:
        """Return when it was played. Raises what went wrong."""
        self._futures[case].result()

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
        for machine in self._machines:
            machine.close()

    def _play(self, case: Case) -> None:
        world, judge, mortal = self._world()
        try:
            self._play_on(case, world, judge, mortal)
        except BaseException as error:
            error.add_note("\n".join(["What it told:", *world.texts()]))
            self._mine.things = None
            self._mine.stack.close()
            raise

    def _world(self) -> tuple[FaultyHostWorld, Judge, MortalRuns]:
        things: tuple[FaultyHostWorld, Judge, MortalRuns] | None = getattr(self._mine, "things", None)
        if things is None:
            self._mine.stack = contextlib.ExitStack()
            self._machines.append(self._mine.stack)
            world = self._mine.stack.enter_context(self._new_world(next(self._numbers)))
            things = self._mine.things = (world, Judge(), self._mine.stack.enter_context(mortal_runs(MORTAL)))
        return things


def selected(request: pytest.FixtureRequest) -> list[Case]:
    """The cases of the module that this run of the tests asks for."""
    items = [item for item in request.session.items if isinstance(item, pytest.Function)]
    return [item.callspec.params["case"] for item in items if item.module is request.module]


@contextlib.contextmanager
def world_on(machine: Machine, kind: type[W]) -> Iterator[W]:
    folder = Path(tempfile.mkdtemp(prefix="eh-", dir="/tmp"))
    made = kind(folder=folder, port=PORT, tools=folder / "bin", bare=machine, login=LOGIN)
    made.settings["ready_within_s"] = READY_WITHIN_S
    try:
        yield made
    finally:
        made.damage.close()
        made.connectors.close()
        shutil.rmtree(folder)


def strike(case: Case, fault: Fault, world: FaultyHostWorld, judge: Judge, mortal: MortalRuns) -> None:
    """A run in which that breaks, and one that is let through, from where the scenario has brought the world.

    Raises `AssertionError` if something is not as it has to be in the end.
    """
    bare = world.bare
    world.pull()
    before, theirs = generations(world), census.others(bare, world.our_ports)
    world.events.clear()
    with world.asking() as failed:
        said = run_with(fault, case.boundary, world, mortal)
        mend(world)
        world.up()
    assert all("\n" not in line and "Traceback" not in line for line in said), said
    assert not said or any(name in line for name in fault.named for line in said), said
    if fault.strike is None and world.line.changes:
        assert any("took over the lease of a run that died" in text for text in world.texts())
    if not fault.fails_requests and not case.scenario.startswith("first-up"):
        assert failed == []
    assert_settled(world, before)
    world.another_run()
    census.assert_nothing_left(bare, litters=fault.litters)
    census.assert_untouched(bare, world.our_ports, theirs)
    assert violations(world, judge) == []
