"""What breaks of Docker while an engine in a container is exchanged, at whatever step: the next run finishes.

The same play as in `test_faults`. `FAULTS=all` plays each fault at each step; else the quick ones
strike once.
"""

from __future__ import annotations

import contextlib
import os
import zlib
from collections.abc import Iterator, Mapping
from functools import partial

import pytest

from tests.faults.boundaries import Boundaries
from tests.faults.cases import Case
from tests.faults.faults import ENGINES, Fault
from tests.faults.faulty import MortalRuns
from tests.faults.judge import Judge
from tests.hosts import census
from tests.hosts.contained import ContainedWorld, start_docker
from tests.hosts.faulty import FaultyHostWorld
from tests.hosts.lab import Lab
from tests.hosts.plays import Plays, selected, strike, world_on
from tests.standins.registry import Registry

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(1200)]

MACHINES = 2
SCENARIO = "edit-contained"
BRINGS = "chat-box-0: bringing the image IMAGE"
STEPS = (
    BRINGS,
    "chat-box-0: staging release RELEASE",
    "chat-box-0: starting release RELEASE on side S beside the running one (N MiB needed, M free)",
    "chat-box-0: side S",
    "chat-box-0: giving side S the traffic",
    "chat-box-0: draining side S (its requests finish first)",
    "chat-box-0: waiting for side S to finish",
    "chat-box-0: taking side S out of the gateway",
    "chat-box-0: stopping chat-box-0-S",
    "chat-box-0: removing releases before the last two",
    "chat-box-0: telling the watchdog",
    "chat-box-0: recording the release",
    "endpoint: asking the endpoint as a client would",
    "endpoint: recording the proof",
)
"""Of an exchange without a fault."""
NAMED = ("box", "the image ", "the engine ")
"""What fails is Docker's image or container; the machine is that of the part which is told beside it."""
UNSERVED = (*NAMED, "http://127.0.0.1:")
"""Or, where the engine that served was ended, the endpoint."""
ANSWERS = "until docker version >/dev/null 2>&1; do sleep 0.1; done"

LISTS_UNKNOWN = "for id in $(docker ps -aq); do docker inspect $id >/dev/null 2>&1 || exit 0; done; exit 1"
"""Whether it does; Docker 20.10.24, killed with containers that run (measured 2026-12)."""


def stop_docker(world: ContainedWorld) -> None:
    """Its containers end with it. Until it is mended nothing can be started."""
    with _killing(world):
        world.bare.run("systemctl stop docker.socket docker")
    world.damage.callback(world.bare.run, f"systemctl start docker.socket docker; {ANSWERS}")


def restart_docker(world: ContainedWorld) -> None:
    """As an upgrade does."""
    with _killing(world):
        world.bare.run(f"systemctl reset-failed docker; systemctl restart docker; {ANSWERS}")


def kill_docker(world: ContainedWorld) -> None:
    """Its containers run on at first; systemd starts it again, and it ends what it finds.

    It may then list containers that it does not know any more and that nobody can remove, until it starts anew.
    """
    before = "before=$(systemctl show -p MainPID --value docker)"
    again = 'until [ "$(systemctl show -p MainPID --value docker)" != "$before" ]; do sleep 0.1; done'
    with _killing(world):
        world.bare.run(f"systemctl reset-failed docker; {before}; kill -9 $before; {again}; {ANSWERS}")
    world.damage.callback(_restart_if_confused, world)


def fill_disk(world: ContainedWorld) -> None:
    """Docker's own."""
    world.bare.run("cat /dev/zero >/var/lib/docker/ballast 2>/dev/null || :")
    world.damage.callback(world.bare.run, "rm /var/lib/docker/ballast")


def close_registry(world: ContainedWorld) -> None:
    world.registry.is_down = True
    world.damage.callback(setattr, world.registry, "is_down", False)


def alter_registry(world: ContainedWorld) -> None:
    """It has something else under the digest."""
    world.registry.lies = True
    world.damage.callback(setattr, world.registry, "lies", False)


FAULTS: Mapping[str, Fault] = {
    fault.name: fault
    for fault in (
        Fault(name="docker-stopped", strike=stop_docker, may_pass=True, fails_requests=True, named=UNSERVED),
        Fault(name="docker-restarted", strike=restart_docker, may_pass=True, fails_requests=True, named=UNSERVED),
        Fault(name="docker-killed", strike=kill_docker, may_pass=True, fails_requests=True, named=UNSERVED),
        Fault(name="docker-disk-full", strike=fill_disk, may_pass=True, named=NAMED),
        Fault(name="registry-down", strike=close_registry, says="was asked", named=NAMED),
        Fault(name="wrong-digest", strike=alter_registry, says="was asked", named=NAMED),
    )
}


QUICK = ("docker-disk-full", "registry-down", "wrong-digest")
"""Those that leave Docker running: it takes minutes to end, and to start with what it finds."""


def every_case() -> Iterator[Case]:
    for fault in FAULTS:
        for step in (BRINGS,) if FAULTS[fault].says else STEPS:
            yield Case(scenario=SCENARIO, boundary=step, fault=fault)


def one_of_each() -> Iterator[Case]:
    for fault in QUICK:
        steps = [case.boundary for case in every_case() if case.fault == fault]
        yield Case(scenario=SCENARIO, boundary=steps[zlib.crc32(fault.encode()) % len(steps)], fault=fault)


CASES = tuple(every_case() if os.environ.get("FAULTS") == "all" else one_of_each())


@contextlib.contextmanager
def contained_world(lab: Lab, image: str, number: int) -> Iterator[ContainedWorld]:
    """A stack that is up, beside what others have there, with a registry of its own."""
    registry = Registry(host=f"{lab.network}.1")
    with contextlib.closing(registry), lab.machine(f"ship{number}", 60 + number, image=image) as machine:
        census.settle(machine)
        start_docker(machine, registry)
        with world_on(machine, partial(ContainedWorld, registry=registry)) as world:
            world.install_standin()
            world.pack()
            world.up()
            assert walk(world) == STEPS
            yield world


def walk(world: ContainedWorld) -> tuple[str, ...]:
    """The steps of an exchange, as they come."""
    edit(world)
    names: list[str] = []
    world.on_event = Boundaries(names.append)
    world.up()
    world.on_event = lambda event: None
    return tuple(names)


@pytest.fixture(scope="module")
def plays(lab: Lab, with_docker: str, impatient: None, request: pytest.FixtureRequest) -> Iterator[Plays]:
    new_world = partial(contained_world, lab, with_docker)
    with contextlib.closing(Plays(selected(request), play, new_world, MACHINES)) as made:
        yield made


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_breaks_of_docker_is_finished_by_the_next_run(case: Case, plays: Plays) -> None:
    """Nothing lost, nothing left, nothing of others touched, and no request to an engine that was not ready."""
    plays.outcome(case)


def play(case: Case, world: FaultyHostWorld, judge: Judge, mortal: MortalRuns) -> None:
    edit(world)
    strike(case, FAULTS[case.fault], world, judge, mortal)


def edit(world: FaultyHostWorld) -> None:
    """A new release, which starts beside the one that runs."""
    world.keep_all()
    world.edit_release()


def _restart_if_confused(world: ContainedWorld) -> None:
    if world.bare.holds(LISTS_UNKNOWN):
        restart_docker(world)


@contextlib.contextmanager
def _killing(world: ContainedWorld) -> Iterator[None]:
    """What ends the engines, from its begin to its end."""
    _note("dying", world)
    yield
    _note("killed", world)


def _note(event: str, world: ContainedWorld) -> None:
    for engine in ENGINES:
        world.note(event, engine)
