"""Runs that may be killed: for each order on stdin a fork does it, and dies by SIGKILL at the boundary it names."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from enginehouse.render.symbols import Secret
from tests.faults.boundaries import Boundaries
from tests.faults.faulty import FaultyWorld

IN_A_SCRIPT = "echo dying-here\nsleep 600\n"
"""What a script does in whose middle its run dies: nothing more; somebody has to end it."""
GUARD_ENDS = " esac\n"
"""How the last line of what guards every changing script ends."""
UNKILLED = 3
"""The exit code of a run that came through although something came at which it had to die, or nothing at all came."""


def at_the_beginning(script: str, words: str) -> str:
    """`script`, which changes something, with `words` before what it does; `AssertionError` if that isn't found."""
    guard, ends, rest = script.partition(GUARD_ENDS)
    assert ends, script
    return f"{guard}{ends}{words}{rest}"


def serve(make: Callable[[dict[str, Any]], FaultyWorld]) -> None:
    """`make` gives the world that an order is about."""
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            _run(make, order)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print({0: "lived", -signal.SIGKILL: "killed"}.get(code, f"ended with {code}"), flush=True)


def run_id() -> str:
    return f"run-mortal-{os.getpid()}"


def _here(order: dict[str, Any]) -> FaultyWorld:
    return FaultyWorld(
        folder=Path(order["folder"]),
        port=order["port"],
        tools=Path(order["folder"], "bin"),
        settings=order["settings"],
        memory_mib=order["memory_mib"],
        run_id=run_id(),
    )


def _run(make: Callable[[dict[str, Any]], FaultyWorld], order: dict[str, Any]) -> None:
    """Never returns."""
    code = 1
    try:
        world = make(order)
        world.secrets = {name: Secret(value) for name, value in order["secrets"].items()}
        strike = partial(_die_in_a_script, world) if order["in_a_script"] else _die
        world.on_event = Boundaries(lambda name: strike() if name == order["boundary"] else None)
        world.up()
        code = 0 if world.line.next_is else UNKILLED
    finally:
        os._exit(code)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _die_in_a_script(world: FaultyWorld) -> None:
    """In the next one that changes something, which does not hear of it. Without one, that stays what is next."""
    world.line.next_is = lambda script: at_the_beginning(script, IN_A_SCRIPT)
    world.line.heard = lambda line: _die() if line == "dying-here" else None


if __name__ == "__main__":
    serve(_here)
