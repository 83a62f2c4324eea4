"""The watchdog: what it is told of each replica, and its program under the stack's supervisor. Pure.

`templates/host/watchdog.sh` judges and heals; it reads one small file of each replica, which no engine depends on.
"""

from __future__ import annotations

import json

import enginehouse.converge.completion as completion
from enginehouse.converge.places import WATCHDOG, Places
from enginehouse.converge.programs import PRIVATE, script_program
from enginehouse.converge.steps import Placed
from enginehouse.engines import engines
from enginehouse.planner.addresses import host_in_url
from enginehouse.planner.parts import HostPart, ReplicaPart, Side
from enginehouse.render.templates import render

HANG_AFTER_S = 120
HANG_AFTER_S_PER_GIB = 60
"""An engine's counter moves once for each batch of a prompt, which is 2048 tokens for llama.cpp. Two slow cores read 8
tokens a second with a model of 4 GiB, so a batch takes 256 s; 120 + 4 * 60 is half as much again. A GPU is far quicker,
and whoever has one says so with `hang_after_s`."""
_NONE = "-"


def hang_after_s(part: ReplicaPart, weights_bytes: int) -> int:
    """How long an engine may go without progress: what the stack says, else by the size of the weights."""
    return part.hang_after_s or HANG_AFTER_S + HANG_AFTER_S_PER_GIB * weights_bytes // 2**30


def watched(part: ReplicaPart, places: Places, side: Side, weights_bytes: int, keys: str = "") -> Placed:
    """What the watchdog is told of the replica: one line of words, and the completion it asks for.

    `keys` is the file with the keys that the engine accepts, if it asks for one.
    """
    engine = engines()[part.engine]
    words = (
        side.value,
        str(part.ports[side]),
        str(hang_after_s(part, weights_bytes)),
        str(part.ready_within_s),
        part.gateway.part,
        f"{part.gateway.backend}/{part.gateway.servers[side]}",
        engine.health_path,
        engine.metrics_path or _NONE,
        engine.progress_metric or _NONE,
        *([host_in_url(part.address)] if part.address else []),
        *([keys] if keys else []),  # the last: a folder's name may hold blanks
    )
    request = json.dumps(completion.request(part.served_name, 1))
    return Placed(path=places.watch, content=f"{' '.join(words)}\n{request}\n", mode=PRIVATE)


def program(part: HostPart, places: Places) -> tuple[Placed, ...]:
    """The watchdog's files; the supervisor's program file is the last."""
    words = (places.state, part.stack)
    return script_program(places, WATCHDOG, render("host/watchdog.sh"), words, greeting="the watchdog starts")
