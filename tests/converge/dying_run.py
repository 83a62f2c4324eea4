"""A run that dies by SIGKILL after N steps: `dying_run.py FOLDER PORT SETTINGS N`. Code 0 if it had no more."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from enginehouse.converge.events import Event
from tests.converge.harness import World


def main() -> None:
    folder, port, settings, steps = sys.argv[1:]
    left = int(steps)
    seen: set[tuple[str, str]] = set()

    def count(event: Event) -> None:
        step = event.part, event.text.partition("]")[0]
        if event.text.startswith("[") and step not in seen:
            seen.add(step)
            if len(seen) > left:
                os.kill(os.getpid(), signal.SIGKILL)

    world = World(folder=Path(folder), port=int(port), tools=Path(folder, "bin"), settings=json.loads(settings))
    world.run_id = f"run-{os.getpid()}"
    world.on_event = count
    world.up()


if __name__ == "__main__":
    main()
