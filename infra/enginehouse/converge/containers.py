"""An engine in a container: what the supervisor is given to run instead of the engine itself. Pure.

The start script is the only thing that knows of Docker: it ends with its container, and the container with it. What is
in the container carries a mark of its own in its environment, so a look at the machine finds it as it finds all
programs, without asking Docker. Why it is done like this: docs/design/0008-engines-in-containers.md.
"""

from __future__ import annotations

import csv
import io
import shlex
from collections.abc import Mapping, Sequence

import enginehouse.converge.memory_limit as memory_limit
import enginehouse.converge.scripts as scripts
from enginehouse.converge.places import CONTAINER, Places
from enginehouse.converge.programs import PRIVATE, START
from enginehouse.converge.steps import Placed, Sh
from enginehouse.planner.parts import ReplicaPart, Side
from enginehouse.render.templates import render

SOCKET = "unix:///var/run/docker.sock"
"""The machine's own Docker, whichever the person's configuration prefers."""
END_S = 5
"""From SIGTERM to SIGKILL in the container, as for an engine without one."""
PULL_S = 3600.0
"""Images with CUDA have several gigabytes."""


def start_script(
    part: ReplicaPart,
    places: Places,
    side: Side,
    *,
    release: str,
    weights: str,
    greeting: str,
    command: Sequence[str],
    env: Mapping[str, str],
) -> tuple[Placed, ...]:
    """The script that runs an engine in a container for as long as it runs itself.

    `command` is Docker's program and the engine's arguments. Values of `env` are in the script alone, which is private:
    the command line has their names.
    """
    docker, *arguments = command
    mark = f"{part.stack}/{part.name}/{side}"
    labels = {"state": places.state, "program": mark}
    whose = {**labels, "stack": part.stack, "part": part.name, "release": release}
    run = (
        *(docker, "run", *_limit(part), "--init", f"--name=enginehouse-{part.stack}-{part.name}-{side}"),
        *(f"--label=enginehouse.{key}={value}" for key, value in whose.items()),
        *("--network=host", "--userns=host", "--log-driver=none", "--no-healthcheck"),
        *("--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges"),
        f"--mount={_mount(weights)}",
        f"--env=ENGINEHOUSE_PROGRAM={mark}{CONTAINER}",
        *(f"--env={name}" for name in ("ENGINEHOUSE_STATE", "ENGINEHOUSE_RELEASE", *env)),
    )
    filters = (f"--filter=label=enginehouse.{key}={value}" for key, value in labels.items())
    text = render(
        "docker/start.sh.j2",
        mark=mark,
        socket=SOCKET,
        docker=shlex.quote(docker),
        containers=shlex.join((docker, "container", "ls", "--all", "--quiet", "--no-trunc", *filters)),
        exports=[f"{name}={shlex.quote(value)}" for name, value in env.items()],
        greeting=greeting,
        # The weights belong to whom the state folder belongs to, so the engine needs to be nobody else.
        run=f'{shlex.join(run)} --user="$(id -u):$(id -g)" {shlex.join((str(part.image), *arguments))}',
        stop_s=END_S,
        over_limit=memory_limit.function(part, places) if part.memory_limit_mib else "",
    )
    return (Placed(path=f"{places.release(f'{release}-{side}')}/{START}", content=text, mode=PRIVATE),)


def bring(places: Places, docker: str, image: str) -> Sh:
    """Fetch the image unless it is there; one that is known by its digest needs no further proof."""
    words = (docker, image, f"{places.part}/run/image.log")
    script = scripts.change(
        render("docker/image.sh"), f"export DOCKER_HOST={SOCKET}", f"bring_image {shlex.join(words)}"
    )
    return Sh(title=f"bringing the image {image}", script=script, deadline_s=PULL_S)


def _limit(part: ReplicaPart) -> tuple[str, ...]:
    """One that has a limit is kept until it has been asked whether that ended it. As much swap as memory is none."""
    limit = f"{part.memory_limit_mib}m"
    return (f"--memory={limit}", f"--memory-swap={limit}") if part.memory_limit_mib else ("--rm",)


def _mount(path: str) -> str:
    """A file at the same path inside, for reading. Docker takes the words of a mount as CSV."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(("type=bind", f"source={path}", f"target={path}", "readonly"))
    return line.getvalue()
