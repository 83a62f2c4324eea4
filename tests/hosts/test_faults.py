"""Whatever breaks between us and a machine, or on it, at whatever step of a run: the next run finishes.

The steps are those of `tests/faults`, over SSH; the faults are those that a real machine with systemd and sshd can
have. `FAULTS=all` plays each fault at each step, for hours; else each strikes once, at a step that its name chooses.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from enginehouse.connectors import base
from enginehouse.connectors.ssh import link
from tests.faults.cases import GOLDEN, Case, read
from tests.faults.faults import run_with
from tests.faults.judge import Judge
from tests.faults.settled import assert_settled, generations, violations
from tests.hosts import census
from tests.hosts.faults import FAULTS, mend
from tests.hosts.faulty import SILENT_S, FaultyHostWorld
from tests.hosts.lab import Lab, Machine
from tests.hosts.world import LOGIN, PORT

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(1200)]

MACHINES = 3
"""At once: a case mostly waits."""


def first_up(world: FaultyHostWorld) -> None:
    """Nothing of ours is there, but the programs."""
    world.wipe()
    world.edit_release()


def edit_beside(world: FaultyHostWorld) -> None:
    """New weights and a new release, which starts beside the one that runs."""
    world.keep_all()
    world.edit_weights()
    world.edit_release()


SCENARIOS: Mapping[str, Callable[[FaultyHostWorld], None]] = {"first-up": first_up, "edit-beside": edit_beside}


def steps(scenario: str) -> list[str]:
    return list(dict.fromkeys(case.boundary for case in read(scenario, GOLDEN / f"{scenario}.txt")))


def every_case() -> Iterator[Case]:
    for fault in FAULTS:
        for scenario in SCENARIOS:
            yield from (Case(scenario=scenario, boundary=step, fault=fault) for step in steps(scenario))


def one_of_each() -> Iterator[Case]:
    """Most of them in an edit, which is quicker, and may fail no request."""
    for number, fault in enumerate(FAULTS):
        scenario = "edit-beside" if number % 5 else "first-up"
        boundaries = steps(scenario)
        step = boundaries[zlib.crc32(f"{scenario}, {fault}".encode()) % len(boundaries)]
        yield Case(scenario=scenario, boundary=step, fault=fault)


CASES = tuple(every_case() if os.environ.get("FAULTS") == "all" else one_of_each())


@pytest.fixture(scope="module")
def impatient() -> Iterator[None]:
    """What takes a minute in earnest takes seconds here: to believe that a link is dead, on both sides."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(link, "DEAD_AFTER_S", SILENT_S)
        patch.setattr(link, "KEEP_ALIVE_S", 1)
        patch.setattr(link, "CONNECT_S", 5.0)
        patch.setattr(base, "ALIVE_EVERY_S", 0.5)
        yield


@pytest.fixture(scope="module")
def plays(lab: Lab, equipped: str, impatient: None) -> Iterator[Mapping[Case, Future[None]]]:
    """All cases, played by a machine each that is free."""
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(MACHINES) as pool:
        free = threading.local()
        numbers = iter(range(MACHINES))

        def playing(case: Case) -> None:
            if not hasattr(free, "world"):
                free.world, free.judge = stack.enter_context(faulty_world(lab, equipped, next(numbers))), Judge()
            try:
                play(case, free.world, free.judge)
            except BaseException as error:
                error.add_note("\n".join(["What it told:", *free.world.texts()]))
                free.world.damage.close()
                raise

        yield {case: pool.submit(playing, case) for case in CASES}
        pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def faulty_world(lab: Lab, image: str, number: int) -> Iterator[FaultyHostWorld]:
    """A stack that is up, beside what others have there."""
    with lab.machine(f"shop{number}", 20 + number, image=image) as machine:
        census.settle(machine)
        with world_on(machine) as world:
            world.install_standin()
            world.up()
            yield world


@contextlib.contextmanager
def world_on(machine: Machine) -> Iterator[FaultyHostWorld]:
    folder = Path(tempfile.mkdtemp(prefix="eh-", dir="/tmp"))
    made = FaultyHostWorld(folder=folder, port=PORT, tools=folder / "bin", bare=machine, login=LOGIN)
    try:
        yield made
    finally:
        made.damage.close()
        made.connectors.close()
        shutil.rmtree(folder)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_breaks_is_finished_by_the_next_run(case: Case, plays: Mapping[Case, Future[None]]) -> None:
    """Said in a sentence with the machine's name; nothing lost, nothing left, nothing of others touched, and no request
    to an engine that was not ready."""
    plays[case].result()


def play(case: Case, world: FaultyHostWorld, judge: Judge) -> None:
    """Raises `AssertionError` if something is not as it has to be in the end."""
    fault, bare = FAULTS[case.fault], world.bare
    SCENARIOS[case.scenario](world)
    world.pull()
    before, theirs = generations(world), census.others(bare, world.our_ports)
    world.events.clear()
    with world.asking() as failed:
        said = run_with(fault, case.boundary, world)
        mend(world)
        world.up()
    assert all("\n" not in line and "Traceback" not in line for line in said), said
    assert not said or "box" in said[0], said
    if not fault.fails_requests and case.scenario != "first-up":
        assert failed == []
    assert_settled(world, before)
    world.another_run()
    census.assert_nothing_left(bare, litters=fault.litters)
    assert census.others(bare, world.our_ports) == theirs
    assert violations(world, judge) == []
