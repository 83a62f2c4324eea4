"""What happens to a run, or to the machine under it, at one moment: a call or an effect, counted from its begin."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from enginehouse.errors import Cancelled, EnginehouseError, Unreachable
from tests.simulated.link import Killed
from tests.simulated.world import OneRun, World


class Kind(StrEnum):
    KILLED = "kill -9 of the run; the script that runs ends with it"
    KILLED_ALONE = "kill -9 of the run; the script that runs goes on to its end"
    CUT = "the link drops and stays down"
    BLIP = "one call finds no link"
    FULL = "the disk is full from now on"
    STOPPED = "Ctrl-C"
    STOPPED_TWICE = "Ctrl-C, and again"
    ENGINE = "the engine that serves dies"
    HAPROXY = "HAProxy dies"
    SUPERVISOR = "the supervisor dies"
    REBOOT = "the machine starts again"
    SECOND = "another run comes"


@dataclass(frozen=True, slots=True)
class Fault:
    kind: Kind
    at: int


class Interrupt:
    """Counts the moments of one run and lets its fault happen at the right one."""

    def __init__(self, world: World, run: OneRun, fault: Fault) -> None:
        self.world = world
        self.run = run
        self.fault = fault
        self.left = fault.at
        run.link.moment = self.call
        world.machine.interrupt = self.effect

    @property
    def happened(self) -> bool:
        return self.left <= 0

    def call(self, what: str) -> None:
        if self._is_now():
            self._happen()
            if self.fault.kind is Kind.BLIP:
                raise Unreachable("no link")

    def effect(self, what: str) -> None:
        if self._is_now():
            self._happen()
            if self.fault.kind is Kind.KILLED and self.run.link.broken:
                raise self.run.link.broken

    def _is_now(self) -> bool:
        self.left -= 1
        return self.left == 0

    def _happen(self) -> None:
        machine, link = self.world.machine, self.run.link
        match self.fault.kind:
            case Kind.KILLED | Kind.KILLED_ALONE:
                link.broken = Killed()
            case Kind.CUT:
                link.broken = Unreachable("the link is down")
            case Kind.STOPPED_TWICE:
                link.broken = Cancelled("stopped")
            case Kind.STOPPED:
                self.run.context.cancelled.set()
            case Kind.FULL:
                machine.files.full = True
            case Kind.SECOND:
                self._another_run()
            case Kind.ENGINE | Kind.HAPROXY | Kind.SUPERVISOR | Kind.REBOOT:
                hurt(self.world, self.fault.kind)

    def _another_run(self) -> None:
        self.world.machine.interrupt = lambda what: None
        with suppress(EnginehouseError):
            self.world.up(self.world.run())


def hurt(world: World, kind: Kind) -> None:
    """Something of the machine ends."""
    machine = world.machine
    world.rules.disturbed = True
    match kind:
        case Kind.ENGINE:
            usable = set(world.rules.usable())
            machine.kill(next((e for e in machine.engines() if e.mark.split("/")[1] in usable), None))
        case Kind.HAPROXY:
            machine.kill(machine.haproxy())
        case Kind.SUPERVISOR:
            machine.kill(machine.supervisor())
        case Kind.REBOOT:
            machine.reboot()
