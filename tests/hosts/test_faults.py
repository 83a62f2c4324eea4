"""Whatever breaks between us and a machine, or on it, at whatever step of a run: the next run finishes.

The steps are those of `tests/faults`, over SSH; the faults are those that a real machine with systemd and sshd can
have. `FAULTS=all` plays each fault at each step, for hours; else each strikes once, at a step that its name chooses.
"""

from __future__ import annotations

import contextlib
import os
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import pytest

from tests.faults.cases import GOLDEN, Case, read
from tests.faults.faulty import MortalRuns
from tests.faults.judge import Judge
from tests.hosts import census
from tests.hosts.faults import FAULTS
from tests.hosts.faulty import FaultyHostWorld
from tests.hosts.lab import Lab
from tests.hosts.plays import Plays, selected, strike, world_on

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


def first_up_lacking(world: FaultyHostWorld) -> None:
    """One of the programs is missing, too."""
    first_up(world)
    world.bare.run("DEBIAN_FRONTEND=noninteractive apt-get purge -q -y socat")


SCENARIOS: Mapping[str, Callable[[FaultyHostWorld], None]] = {
    "first-up": first_up,
    "edit-beside": edit_beside,
    "first-up-lacking": first_up_lacking,
}
INSTALLS = "box: installing socat from the distribution's packages"
PACKAGES_LOCKED = "packages-locked"
AT_AN_INSTALLATION = ("kill-run", "kill-run-in-a-script", "cut", "kill-sessions", "full-disk", "power-cut", "two-runs")


def steps(scenario: str) -> list[str]:
    return list(dict.fromkeys(case.boundary for case in read(scenario, GOLDEN / f"{scenario}.txt")))


def every_case() -> Iterator[Case]:
    for fault in FAULTS:
        for scenario in ("first-up", "edit-beside") if fault != PACKAGES_LOCKED else ():
            yield from (Case(scenario=scenario, boundary=step, fault=fault) for step in steps(scenario))
    for fault in (*AT_AN_INSTALLATION, PACKAGES_LOCKED):
        yield Case(scenario="first-up-lacking", boundary=INSTALLS, fault=fault)


def one_of_each() -> Iterator[Case]:
    """Most of them in an edit, which is quicker, and may fail no request."""
    for number, fault in enumerate(FAULTS):
        scenario = "edit-beside" if number % 5 else "first-up"
        boundaries = steps(scenario)
        step = boundaries[zlib.crc32(f"{scenario}, {fault}".encode()) % len(boundaries)]
        if fault == PACKAGES_LOCKED:
            scenario, step = "first-up-lacking", INSTALLS
        yield Case(scenario=scenario, boundary=step, fault=fault)


CASES = tuple(every_case() if os.environ.get("FAULTS") == "all" else one_of_each())


@pytest.fixture(scope="module")
def plays(lab: Lab, equipped: str, impatient: None, request: pytest.FixtureRequest) -> Iterator[Plays]:
    new_world = partial(faulty_world, lab, equipped)
    with contextlib.closing(Plays(selected(request), play, new_world, MACHINES)) as made:
        yield made


@contextlib.contextmanager
def faulty_world(lab: Lab, image: str, number: int) -> Iterator[FaultyHostWorld]:
    """A stack that is up, beside what others have there."""
    with lab.machine(f"shop{number}", 20 + number, image=image) as machine:
        census.settle(machine)
        with world_on(machine, FaultyHostWorld) as world:
            world.install_standin()
            world.up()
            yield world


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_breaks_is_finished_by_the_next_run(case: Case, plays: Plays) -> None:
    """Said in a sentence with the machine's name; nothing lost, nothing left, nothing of others touched, and no request
    to an engine that was not ready."""
    plays.outcome(case)


def play(case: Case, world: FaultyHostWorld, judge: Judge, mortal: MortalRuns) -> None:
    SCENARIOS[case.scenario](world)
    strike(case, FAULTS[case.fault], world, judge, mortal)
