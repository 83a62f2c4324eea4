"""NVIDIA's container toolkit on a machine, and a Docker that knows of it. Pure; the shell is in `host/nvidia.sh`.

Docker looks for the toolkit once, when it starts. Restarting it ends containers, so that is done only where it ends
none, or none that Docker itself keeps.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import enginehouse.converge.packages as packages
import enginehouse.converge.repositories as repositories
import enginehouse.converge.scripts as scripts
from enginehouse.converge.containers import SOCKET
from enginehouse.converge.drivers import Verdict
from enginehouse.converge.facts import Facts
from enginehouse.converge.places import Places
from enginehouse.converge.steps import Sh
from enginehouse.inventory.system import system
from enginehouse.planner.parts import TOOLKIT, HostPart

_OURS = "enginehouse-"
"""How names of containers begin that a stack's supervisor keeps running."""
_SUPERVISORS = "cd /etc/systemd/system && systemctl {} enginehouse-*.service"
"""The shell says which those are: of units that do not run systemd knows none by a pattern (systemctl(1))."""


def verdict(part: HostPart, facts: Facts) -> Verdict:
    """Nothing to say where the stack file does not have it installed."""
    missing, stale = TOOLKIT not in facts.tools, "docker_began_without" in facts.texts
    if part.toolkit is None or not (missing or stale):
        return Verdict()
    wanting = "not installed" if missing else "installed, and Docker does not know of it yet"
    if refusals := _refusals(part, facts, missing):
        return Verdict(wanting=wanting, refusals=refusals)
    places = Places.of(part, facts.state)
    repository = repositories.of_toolkit(part.toolkit.source).command()
    restart = shlex.join(("restart_docker", places.docker_before_toolkit, SOCKET))
    if not missing:
        script = scripts.install_nvidia(places.installing, (restart,))
        return Verdict(wanting=wanting, step=Sh(title="restarting Docker, for the container toolkit", script=script))
    note = shlex.join(("note_docker", places.docker_before_toolkit))
    commands = (repository, note, f"install_toolkit {part.tools[TOOLKIT]}", restart)
    step = Sh(
        title="installing NVIDIA's container toolkit and restarting Docker",
        script=scripts.install_nvidia(places.installing, commands),
        deadline_s=packages.INSTALL_S,
    )
    return Verdict(wanting=wanting, step=step)


def stays(part: HostPart) -> tuple[str, ...]:
    """What a destroy leaves of it: others' containers may have GPUs by it."""
    if part.toolkit is None:
        return ()
    made = repositories.files(repositories.TOOLKIT_NAME)
    return (f"NVIDIA's container toolkit stays; so do, where they were made for it, {made}",)


def _refusals(part: HostPart, facts: Facts, missing: bool) -> tuple[str, ...]:
    """All that stands in its way."""
    refusals = []
    if missing and (hindrance := packages.hindrance(part, facts)):
        refusals.append(hindrance)
    elif missing and system(facts.texts).architecture != repositories.ARCHITECTURE:
        refusals.append(f"container_toolkit: {repositories.unknown(system(facts.texts))}")
    if "docker_silent" in facts.texts:
        refusals.append(
            "Docker has to be restarted before it gives GPUs to containers, and does not tell which containers that "
            "would end; `systemctl status docker` on the machine shows how it is, and one that is stopped is started "
            "by `systemctl start docker`"
        )
    if names := facts.texts.get("docker_running", "").split():
        what = f"Docker has to be restarted before it gives GPUs to containers, which would end {', '.join(names)}"
        refusals.append("; ".join((what, *_ways(names))))
    return tuple(refusals)


def _ways(names: list[str]) -> Iterator[str]:
    """What ends containers for the time of a restart, or keeps them."""
    if others := " ".join(name for name in names if not name.startswith(_OURS)):
        yield (
            f"`docker stop {others}` before and `docker start {others}` afterwards, or let Docker keep what runs: "
            '`"live-restore": true` in /etc/docker/daemon.json and `systemctl reload docker`'
        )
    if any(name.startswith(_OURS) for name in names):
        yield (
            f"those of stacks would be started again: `{_SUPERVISORS.format('stop')}` there before, and "
            f"`{_SUPERVISORS.format('start')}` afterwards"
        )
