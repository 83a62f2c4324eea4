"""What is told where an engine was ended because it took more memory than it may. Pure."""

from __future__ import annotations

from enginehouse.converge.places import Places
from enginehouse.planner.parts import ReplicaPart
from enginehouse.render.templates import render


def function(part: ReplicaPart, places: Places) -> str:
    """The shell function `over_limit`, which a start script calls: a line in the log, one in the journal."""
    text = f"the engine took more than its memory limit of {part.memory_limit_mib} MiB and was ended"
    return render("host/over_limit.sh.j2", part=part.name, text=text, journal=places.journal)
