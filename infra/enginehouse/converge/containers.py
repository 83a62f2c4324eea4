"""An engine in a container: what the supervisor is given to run instead of the engine itself. Pure.

The start script is the only thing that knows of Docker: it ends with its container, and the container with it. What is
in the container carries a mark of its own in its environment, so a look at the machine finds it as it finds all
programs, without asking Docker. Why it is done like this: docs/design/0008-engines-in-containers.md.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import enginehouse.converge.engine_keys as engine_keys
import enginehouse.converge.memory_limit as memory_limit
import enginehouse.converge.scripts as scripts
from enginehouse.converge.places import CONTAINER, GATEWAY, Places
from enginehouse.converge.programs import PRIVATE, START
from enginehouse.converge.steps import Placed, Sh
from enginehouse.gateway.commands import RELOAD_SIGNAL
from enginehouse.planner.container import Container, Registry
from enginehouse.planner.images import at_mirror, digest_of, login_of, registry_of
from enginehouse.planner.parts import GatewayPart, Part, ReplicaPart, Side
from enginehouse.render.symbols import Secret
from enginehouse.render.templates import render

SOCKET = "unix:///var/run/docker.sock"
"""The machine's own Docker, whichever the person's configuration prefers."""
END_S = 5
"""From SIGTERM to SIGKILL in the container, as for an engine without one."""
SOFT_STOP = "USR1"
"""HAProxy's signal: no new connections, running streams may finish (HAProxy management guide 2.8, section 4)."""
SOFT_STOP_S = 15
_HAPROXY = "--entrypoint=haproxy"
"""Whatever else the image starts things with."""
_FIRST_FREE_PORT = 1024
"""Below it a port takes a capability."""
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
    gpus: Sequence[str] = (),
) -> tuple[Placed, ...]:
    """The script that runs an engine in a container for as long as it runs itself.

    `command` is Docker's program and the engine's arguments, `gpus` are UUIDs. Values of `env` are in the script alone,
    which is private: the command line has their names. An image that comes from a mirror is found by its digest,
    whatever its name here.
    """
    docker, *arguments = command
    image, mirrored = str(part.image), _is_mirrored(part.registry)
    words = f'"$image" {shlex.join(arguments)}' if mirrored else shlex.join((image, *arguments))
    keys = engine_keys.file(places, release, side) if engine_keys.asks(part) else ""
    shown = (weights, keys) if keys else (weights,)
    run = _run(
        part,
        places,
        side,
        docker,
        first=_limit(part),
        whose={"release": release, **({"image": image} if mirrored else {})},
        room=(*_room(part.container or Container()), *(f"--mount={_mount(path)}" for path in shown), *_devices(gpus)),
        env=tuple(env),
    )
    text = render(
        "docker/start.sh.j2",
        **_common(part, places, side, docker),
        exports=[f"{name}={shlex.quote(value)}" for name, value in env.items()],
        greeting=greeting,
        keys=keys,
        notices=False,
        run=f"{run} {words}",
        stop_s=END_S,
        out_of_memory=memory_limit.function(part, places) if part.memory_limit_mib else "",
        digest=digest_of(image) if mirrored else "",
        passes="",
    )
    return (Placed(path=f"{places.release(f'{release}-{side}')}/{START}", content=text, mode=PRIVATE),)


def name(part: Part, program: str) -> str:
    """What Docker calls the container of an engine's side, or of the gateway."""
    return f"enginehouse-{part.stack}-{part.name}-{program}"


def gateway_script(part: GatewayPart, places: Places, folder: str, command: Sequence[str], *, greeting: str) -> Placed:
    """The script that runs HAProxy in a container, which a reload's signal reaches, too."""
    docker, *arguments = command
    port = ("--cap-add=NET_BIND_SERVICE",) if part.port < _FIRST_FREE_PORT else ()
    run = _run(
        part,
        places,
        GATEWAY,
        docker,
        first=("--rm",),
        whose={"image": str(part.image)},
        room=(*port, f"--mount={_mount(places.part, writable=True)}", f"--stop-signal={SOFT_STOP}", _HAPROXY),
        env=(),
    )
    text = render(
        "docker/start.sh.j2",
        **_common(part, places, GATEWAY, docker),
        exports=(),
        greeting=greeting,
        keys="",
        notices=True,
        run=f'{run} "$image" {shlex.join(arguments)}',
        stop_s=SOFT_STOP_S,
        out_of_memory="",
        digest=digest_of(str(part.image)),
        passes=RELOAD_SIGNAL,
    )
    return Placed(path=f"{folder}/{START}", content=text, mode=PRIVATE)


def gateway_check(part: GatewayPart, places: Places, command: Sequence[str]) -> str:
    """The command that has the image's HAProxy judge a configuration."""
    docker, *arguments = command
    options = (
        "--rm",
        "--network=none",
        "--userns=host",
        "--read-only",
        "--cap-drop=ALL",
        f"--mount={_mount(places.part)}",
        _HAPROXY,
    )
    run = f'{shlex.join((docker, "run", *options))} --user="$(id -u):$(id -g)"'
    image = f"image=$({_images(docker)} | sed -n 's/^{digest_of(str(part.image))} //p' | head -n 1)"
    return "\n".join((f"export DOCKER_HOST={SOCKET}", image, f'{run} "$image" {shlex.join(arguments)}'))


def same_scripts(part: ReplicaPart) -> tuple[ReplicaPart, ...]:
    """The part, and how it may have been when what runs was started: another mirror, or none, is no reason to restart.

    A script does not tell which mirror the image came from, only that it came from one.
    """
    if part.image is None:
        return (part,)
    return part, replace(part, registry=None if _is_mirrored(part.registry) else Registry(mirror="another"))


def bring(part: ReplicaPart | GatewayPart, places: Places, docker: str, secrets: Mapping[str, Secret]) -> Sh:
    """Fetch the image unless it is there; one that is known by its digest needs no further proof."""
    image, registry = str(part.image), part.registry or Registry()
    source = at_mirror(image, registry.mirror) if registry.mirror else image
    login = _login(source, registry, secrets)
    there = f"is_here {digest_of(image)}" if registry.mirror else shlex.join((docker, "image", "inspect", image))
    words = (docker, source, f"{places.part}/run", str(len(login.encode())), _asked(source, registry, secrets))
    script = scripts.change(
        render("docker/image.sh", images=_images(docker)),
        f"export DOCKER_HOST={SOCKET}",
        f"{there} >/dev/null 2>&1 || bring_image {shlex.join(words)}",
    )
    return Sh(title=f"bringing the image {image}", script=script, stdin=login, deadline_s=PULL_S)


def _is_mirrored(registry: Registry | None) -> bool:
    return bool(registry and registry.mirror)


def _run(
    part: Part,
    places: Places,
    program: str,
    docker: str,
    *,
    first: tuple[str, ...],
    whose: Mapping[str, str],
    room: tuple[str, ...],
    env: tuple[str, ...],
) -> str:
    """What runs a container that may do little, up to its image, as whom the state folder belongs to."""
    mark = f"{part.stack}/{part.name}/{program}"
    labels = {**_labels(part, places, program), "stack": part.stack, "part": part.name, **whose}
    words = (
        *(docker, "run", *first, "--init", f"--name={name(part, program)}"),
        *(f"--label=enginehouse.{key}={value}" for key, value in labels.items()),
        *("--network=host", "--userns=host", "--log-driver=none", "--no-healthcheck"),
        *("--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges"),
        *room,
        f"--env=ENGINEHOUSE_PROGRAM={mark}{CONTAINER}",
        *(f"--env={name}" for name in ("ENGINEHOUSE_STATE", "ENGINEHOUSE_RELEASE", *env)),
    )
    # Weights, sockets and keys belong to whom the state folder belongs to, so nobody else is needed.
    return f'{shlex.join(words)} --user="$(id -u):$(id -g)"'


def _labels(part: Part, places: Places, program: str) -> dict[str, str]:
    """By which a start script knows its container."""
    return {"state": places.state, "program": f"{part.stack}/{part.name}/{program}"}


def _common(part: Part, places: Places, program: str, docker: str) -> dict[str, str]:
    """What every start script is made with."""
    filters = (f"--filter=label=enginehouse.{key}={value}" for key, value in _labels(part, places, program).items())
    return {
        "mark": f"{part.stack}/{part.name}/{program}",
        "socket": SOCKET,
        "cgroups": memory_limit.CGROUPS,
        "docker": shlex.quote(docker),
        "containers": shlex.join((docker, "container", "ls", "--all", "--quiet", "--no-trunc", *filters)),
        "images": _images(docker),
    }


def _images(docker: str) -> str:
    """The command that tells of every image here its digest and its id; one with several names has several lines."""
    return shlex.join((docker, "image", "ls", "--all", "--digests", "--no-trunc", "--format={{.Digest}} {{.ID}}"))


def _login(source: str, registry: Registry, secrets: Mapping[str, Secret]) -> str:
    """The configuration of Docker's client that logs in there; empty without a login, or its value."""
    if registry.username is None or registry.password not in secrets:
        return ""
    # A line end after it is not the password's, as for `docker login --password-stdin`.
    password = secrets[str(registry.password)].reveal().rstrip("\r\n")
    login = base64.b64encode(f"{registry.username}:{password}".encode()).decode()
    return json.dumps({"auths": {login_of(source): {"auth": login}}})


def _asked(source: str, registry: Registry, secrets: Mapping[str, Secret]) -> str:
    """Who was asked for the image, and as whom, for a failure."""
    where = registry_of(source)
    asked = f"only the mirror {registry.mirror} was asked" if registry.mirror else f"{where} was asked"
    if registry.username is None:
        return asked
    if registry.password not in secrets:
        return f"{asked}, without a login: the secret {registry.password!r} has no value here"
    return f"{asked}, as {registry.username} with the secret {registry.password!r}"


def _limit(part: ReplicaPart) -> tuple[str, ...]:
    """One that has a limit is kept until it has been asked whether that ended it. As much swap as memory is none."""
    limit = f"{part.memory_limit_mib}m"
    return (f"--memory={limit}", f"--memory-swap={limit}") if part.memory_limit_mib else ("--rm",)


def _room(container: Container) -> Iterator[str]:
    if container.shm_gib:
        yield f"--shm-size={container.shm_gib}g"
    yield from (f"--ulimit={name}={value}:{value}" for name, value in container.ulimits.items())


def _devices(gpus: Sequence[str]) -> tuple[str, ...]:
    return (f"--gpus={_csv('device=' + ','.join(gpus))}",) if gpus else ()


def _mount(path: str, *, writable: bool = False) -> str:
    """What is at a path, at the same path inside."""
    return _csv("type=bind", f"source={path}", f"target={path}", *(() if writable else ("readonly",)))


def _csv(*words: str) -> str:
    """As Docker takes the words of a mount, and of what it gives of devices."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(words)
    return line.getvalue()
