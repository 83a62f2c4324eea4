"""What a run is in the middle of when something breaks: each begins with a stack at rest and ends with one `up`."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping

from tests.converge.harness import HUGE_MIB
from tests.faults.faulty import FaultyWorld

Scenario = Callable[[FaultyWorld], None]
"""Brings the world to where the run begins."""


def first_up(world: FaultyWorld) -> None:
    """Nothing is there."""
    world.kill_all()
    for path in world.state.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    world.edit_release()


def edit_beside(world: FaultyWorld) -> None:
    """New weights and a new release, which starts beside the one that runs."""
    world.memory_mib = 1
    world.keep_all()
    world.edit_weights()
    world.edit_release()


def edit_stop_first(world: FaultyWorld) -> None:
    """A new release without room for it beside the one that runs."""
    world.memory_mib = HUGE_MIB
    world.keep_all()
    world.edit_release()


def edit_gateway(world: FaultyWorld) -> None:
    """Another limit for a client, which takes a reload."""
    world.keep_all()
    world.edit_gateway()


def supervisor_died(world: FaultyWorld) -> None:
    """Engine and gateway run on without anybody who looks after them; the watchdog ends by itself, soon."""
    watchdogs = {pid for pid, mark in world.processes().items() if mark == "box/watchdog"}
    world.strike("box/supervisor")
    world.wait_until(lambda: not watchdogs & world.processes().keys())


SCENARIOS: Mapping[str, Scenario] = {
    "first-up": first_up,
    "edit-beside": edit_beside,
    "edit-stop-first": edit_stop_first,
    "edit-gateway": edit_gateway,
    "supervisor-died": supervisor_died,
}
