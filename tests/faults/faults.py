"""What breaks, at a step's beginning. Each takes a world whose run has not begun, and gives what the run said."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from enginehouse.errors import EnginehouseError, LeaseHeld, explain
from tests.faults.boundaries import Boundaries
from tests.faults.faulty import FaultyWorld, MortalRuns, killed_in_the_middle

ENGINES = ("chat-box-0/a", "chat-box-0/b")
GATEWAY, SUPERVISOR, WATCHDOG = "gateway-box/gateway", "box/supervisor", "box/watchdog"
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Boundary:
    """A step of a scenario's run: its name, what runs when it begins, and whether a script of it changes something."""

    name: str
    runs: frozenset[str]
    changes: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """`strike` is called at the boundary; without one, the run itself dies there."""

    name: str
    strike: Callable[[FaultyWorld], None] | None
    in_a_script: bool = False
    """Whether the run dies in the first script that changes something, if one does, and the script goes on."""
    applies: Callable[[Boundary], bool] = lambda boundary: True
    fails_requests: bool = False
    """Whether requests may fail: who works on them, or passes them on, is killed."""
    litters: bool = False
    """Whether a half-written file may stay, under a name that nothing reads, until the file is written next."""
    says: str = ""
    """What the run then says."""
    may_pass: bool = False
    """Whether it may come through all the same: releases that it removes make room for its records."""
    passes: bool = False
    """Whether it has to come through."""
    named: tuple[str, ...] = ("box",)
    """What the run names when it fails: one of these. The machine, unless something on it is to be named."""


def runs(*programs: str) -> Callable[[Boundary], bool]:
    return lambda boundary: bool(boundary.runs & set(programs))


def changes(boundary: Boundary) -> bool:
    return boundary.changes


def kill_engines(world: FaultyWorld) -> None:
    for engine in ENGINES:
        world.strike(engine)


def kill_gateway(world: FaultyWorld) -> None:
    world.strike(GATEWAY)


def kill_gateway_worker(world: FaultyWorld) -> None:
    world.strike(GATEWAY, child=True)


def kill_supervisor(world: FaultyWorld) -> None:
    world.strike(SUPERVISOR)


def kill_watchdog(world: FaultyWorld) -> None:
    world.strike(WATCHDOG)


def kill_script(world: FaultyWorld) -> None:
    world.line.next_is = killed_in_the_middle


def cut(world: FaultyWorld) -> None:
    world.line.cut()


def lose_answer(world: FaultyWorld) -> None:
    world.line.next_is_unheard = True


def fill_disk(world: FaultyWorld) -> None:
    assert world.disk
    world.disk.fill()


def make_read_only(world: FaultyWorld) -> None:
    assert world.disk
    world.disk.make_read_only()


def set_clock(world: FaultyWorld) -> None:
    """A day ahead; the next time, a day back."""
    world.clock.ahead = DAY if world.clock.ahead <= timedelta() else -DAY


def run_twice(world: FaultyWorld) -> None:
    """Another run comes along and is told who works here, unless it finds nothing to do; it changes nothing."""
    rival = world.rival()
    try:
        rival.up()
    except LeaseHeld as error:
        assert "ada@desk" in str(error) or "works on this machine" in str(error)
    assert rival.line.changes == 0, "two runs were let in at once"


FAULTS: Mapping[str, Fault] = {
    fault.name: fault
    for fault in (
        Fault(name="kill-run", strike=None),
        Fault(name="kill-engines", strike=kill_engines, applies=runs(*ENGINES), fails_requests=True),
        Fault(name="kill-gateway", strike=kill_gateway, applies=runs(GATEWAY), fails_requests=True),
        Fault(name="kill-gateway-worker", strike=kill_gateway_worker, applies=runs(GATEWAY), fails_requests=True),
        Fault(name="kill-supervisor", strike=kill_supervisor, applies=runs(SUPERVISOR), fails_requests=True),
        Fault(name="kill-watchdog", strike=kill_watchdog, applies=runs(WATCHDOG)),
        Fault(name="kill-script", strike=kill_script, applies=changes, litters=True),
        Fault(name="cut", strike=cut, says="box: no connection"),
        Fault(name="lose-answer", strike=lose_answer, applies=changes, says="the link broke before the answer came"),
        Fault(name="full-disk", strike=fill_disk, applies=changes, says="is full (0 MiB are free", may_pass=True),
        Fault(name="read-only", strike=make_read_only, applies=changes, says="is read-only"),
        Fault(name="clock", strike=set_clock),
        Fault(name="two-runs", strike=run_twice),
    )
}


def run_with(fault: Fault, boundary: str, world: FaultyWorld, mortal: MortalRuns | None = None) -> tuple[str, ...]:
    """One `up` in which the fault strikes at that boundary; what it failed with, line by line."""
    if fault.strike is None:
        assert mortal
        ended = mortal.run(world, boundary, in_a_script=fault.in_a_script)
        assert ended == "killed" or (fault.in_a_script and ended == "lived"), f"not killed at {boundary!r}: {ended}"
        return ()
    struck: list[str] = []

    def at(name: str) -> None:
        if name == boundary:
            struck.append(name)
            fault.strike(world)  # type: ignore[misc]

    world.on_event = Boundaries(at)
    try:
        world.up()
        said: tuple[str, ...] = ()
    except EnginehouseError as error:
        said = tuple(explain(error))
        assert said
    finally:
        world.on_event = lambda event: None
    assert struck, f"no step {boundary!r} came"
    assert not (fault.passes and said), said
    came_through = fault.may_pass and not said
    assert came_through or any(fault.says in line for line in said) or not fault.says, said
    return said


def mend(world: FaultyWorld) -> None:
    """Everything works again; what was killed stays so."""
    world.line.mend()
    if world.disk:
        world.disk.mend()
