"""Runs that may be killed: for each order on stdin a fork does it, and dies by SIGKILL at the boundary it names."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from enginehouse.render.symbols import Secret
from tests.faults.boundaries import Boundaries
from tests.faults.faulty import FaultyWorld


def main() -> None:
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            _run(order)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print({0: "lived", -signal.SIGKILL: "killed"}.get(code, f"ended with {code}"), flush=True)


def _run(order: dict[str, Any]) -> None:
    """Never returns."""
    code = 1
    try:
        world = FaultyWorld(
            folder=Path(order["folder"]),
            port=order["port"],
            tools=Path(order["folder"], "bin"),
            settings=order["settings"],
            memory_mib=order["memory_mib"],
            run_id=f"run-mortal-{os.getpid()}",
        )
        world.secrets = {name: Secret(value) for name, value in order["secrets"].items()}
        world.on_event = Boundaries(lambda name: _die() if name == order["boundary"] else None)
        world.up()
        code = 0
    finally:
        os._exit(code)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
