"""What is told where the kernel ended an engine that has a memory limit for lack of memory: whose, if known. Pure."""

from __future__ import annotations

from enginehouse.converge.places import Places
from enginehouse.planner.parts import ReplicaPart
from enginehouse.render.templates import render

CGROUPS = "/sys/fs/cgroup"
OWN_CGROUP = "/proc/self/cgroup"


def function(part: ReplicaPart, places: Places) -> str:
    """The shell function `out_of_memory`, which a start script calls: a line in the log, one in the journal.

    Its argument is `limit` if the engine's own limit was reached, `machine` if it was not, else anything.
    """
    limit = f"its memory limit of {part.memory_limit_mib} MiB"
    return render(
        "host/out_of_memory.sh.j2",
        part=part.name,
        limit=f"the engine took more than {limit} and was ended",
        machine=f"the machine ran out of memory and ended the engine, which was within {limit}",
        either=f"memory ran out and the engine was ended: it took more than {limit}, or the machine had no more",
        journal=places.journal,
    )
