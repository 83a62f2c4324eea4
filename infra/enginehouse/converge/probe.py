"""The script that reads the facts of parts on their machine, in one go.

Pure; the shell functions it calls are in `templates/host/probe.sh`.
"""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import enginehouse.converge.certificates as certificates
import enginehouse.converge.engine_keys as engine_keys
from enginehouse.converge.containers import SOCKET
from enginehouse.converge.containers import name as container_name
from enginehouse.converge.places import (
    CERTIFICATES,
    Places,
    admin_socket,
    metrics_port_file,
    saved_servers,
    side_program,
)
from enginehouse.converge.weights import program_folder, record_of
from enginehouse.engines import engines
from enginehouse.inventory.answers import BadProbe, Values, facts_in
from enginehouse.inventory.gpus import PATIENCE_S
from enginehouse.planner.addresses import host_in_url
from enginehouse.planner.parts import (
    DOCKER,
    SYSTEMD_RUN,
    EndpointPart,
    GatewayPart,
    HostPart,
    Part,
    ReplicaPart,
    Runtime,
    Side,
    WeightsPart,
)
from enginehouse.render.symbols import fill
from enginehouse.render.templates import render

STATE = '"$state"'
"""The state folder in a script that has found it."""
VERSION_ARGS: Mapping[str, tuple[str, ...]] = {"haproxy": ("-v",), "openssl": ("version",)}
"""How a program is asked for its version, where it is not `--version`."""
_ALL, _END = "all", "end"
"""In the place of a question's number: what comes now is for everybody; nothing comes any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Questions:
    """What a part wants to know of a machine."""

    lines: tuple[str, ...]
    """Shell commands that print facts. Those of several parts that are the same are asked once."""
    ports: tuple[int, ...] = ()
    """Ports whose listeners are asked for."""
    health: tuple[str, ...] = ()
    """URLs that are asked how they are."""
    functions: tuple[str, ...] = ("probe",)
    """Files of shell functions that the lines need."""


def questions(part: Part) -> Questions:
    """What `part` asks its own machine."""
    return Questions(
        lines=(*_common(part), *_KINDS[type(part)](part)),
        ports=_ports(part),
        health=tuple(_health(part)) if isinstance(part, ReplicaPart) else (),
        functions=_libraries(part),
    )


def questions_elsewhere(part: Part) -> Questions:
    """What `part` asks another machine that it works with: where its gateway is, or some of its replicas are."""
    return Questions(lines=tuple(_elsewhere(part)))


def probe(*asked: Questions) -> str:
    """The script that asks all of them, each question once. It writes nothing and needs no stdin."""
    functions = dict.fromkeys(name for one in asked for name in one.functions)
    ports = dict.fromkeys(port for one in asked for port in one.ports)
    urls = dict.fromkeys(url for one in asked for url in one.health)
    # One encoding around everything: no answer of a program can be taken for another fact.
    lines = (
        *(render(f"host/{name}.sh") for name in functions),
        "facts() {",
        "find_state",
        "machine",
        *([f"sockets {' '.join(map(str, ports))}"] if ports else []),
        *(f"answer {number}\n{line}" for line, number in _numbers(asked).items()),
        f"answer {_ALL}",
        *([f"answers {shlex.join(urls)}"] if urls else []),
        f"answer {_END}",
        "}",
        "printf 'facts\\t'",
        "facts | base64 -w 0",
        "echo",
    )
    return "\n".join(lines) + "\n"


def answers(text: str, *asked: Questions) -> tuple[Values, ...]:
    """What the script of `probe(*asked)` printed, for each of them. Raises `BadProbe` if it did not come to its end."""
    found: defaultdict[str, dict[str, str]] = defaultdict(dict)
    number = _ALL
    for key, value in facts_in(text):
        if key:
            found[number][key] = value
        elif value:  # a file that a power cut has filled with NULs is neither
            number = value
    if number != _END:
        raise BadProbe("the probe's answer breaks off")
    numbers = _numbers(asked)
    return tuple(
        {key: value for line in (_ALL, *(numbers[line] for line in one.lines)) for key, value in found[line].items()}
        for one in asked
    )


def _libraries(part: Part) -> tuple[str, ...]:
    if isinstance(part, HostPart) and (part.driver or part.toolkit):
        return "probe", "gpus", "nvidia_facts"
    return ("probe", "gpus") if isinstance(part, HostPart | ReplicaPart) and part.gpus else ("probe",)


def _numbers(asked: Iterable[Questions]) -> dict[str, str]:
    """Each line with the number that its answer has."""
    return {line: str(number) for number, line in enumerate(dict.fromkeys(line for one in asked for line in one.lines))}


def history_of(part: Part) -> str:
    """A script that prints the part's manifests, each after a NUL, a key and a tab.

    First the one that stands, under `manifest`, if there is one; then the kept ones, oldest first, under their numbers.
    """
    places = _places(part)
    return reading(f"text_of manifest {places.manifest}\neach_of {places.history}")


def journal_of(part: Part) -> str:
    """A script that prints the journal of the part's stack; nothing if there is none."""
    return reading(f"cat {_places(part).journal} 2>/dev/null || :")


def standing_of(host: HostPart) -> str:
    """A script that prints whose the stack is, what freezes it, and its parts' manifests, each after NUL, key, tab."""
    places = _places(host)
    whose = f"text_of owner {places.owner}\ntext_of frozen {places.frozen}"
    return reading(f"{whose}\nmanifests_of {places.stack_folder}")


def reading(command: str) -> str:
    """A script that runs `command` with the state folder as `STATE`."""
    return "\n".join((render("host/probe.sh"), "find_state >/dev/null", command)) + "\n"


def on_machine(path: str) -> str:
    """A path with the `@{state}` symbol as a shell word, for scripts that have found the state folder."""
    rest = path.removeprefix("@{state}")
    quoted = shlex.quote(fill(rest, {}, {}))
    return f"{STATE}{quoted}" if rest != path else quoted


def _common(part: Part) -> Iterator[str]:
    places = _places(part)
    yield f"disk {STATE}"
    yield f"[ ! -d {places.part} ] || yes folder"
    yield f"text_of manifest {places.manifest}"
    yield f"newest_generation {places.history}"
    yield f"text_of frozen {places.frozen}"
    yield f"text_of owner {places.owner}"
    if part.renamed_from:
        former = places.other(part.renamed_from)
        yield f"[ ! -d {former.part} ] || yes former_folder"
        yield f"text_of former {former.manifest}"
    yield f"processes {shlex.quote(part.stack)}"


def _ports(part: Part) -> tuple[int, ...]:
    """Where programs of the part listen."""
    match part:
        case ReplicaPart():
            return tuple(part.ports.values())
        case GatewayPart():
            return part.port, part.metrics_port
    return ()


def _health(part: ReplicaPart) -> Iterator[str]:
    """Where its engines are asked whether they are well."""
    at = host_in_url(part.address) if part.address else "127.0.0.1"
    yield from (f"http://{at}:{port}{engines()[part.engine].health_path}" for port in _ports(part))


def _listeners(part: Part) -> str:
    return f"listeners {' '.join(map(str, _ports(part)))}"


def _host(part: HostPart) -> Iterator[str]:
    places = _places(part)
    yield f"files_below {places.part}"
    yield "key user; id -un"
    yield "key home; printf '%s' \"$HOME\""
    yield "key path; printf '%s' \"$PATH\""
    yield f"system {part.stack}"
    yield f"drop_ins 'enginehouse-{part.stack}-????????.service'"
    yield f"text_of installing {places.installing}"
    yield f"other_host {places.stack_folder} {part.name}"
    folders = (f"{STATE}/host", f"{STATE}/weights", places.stack_folder, *_host_folders(places))
    yield f"key folders; stat -c '%a %n' {' '.join(folders)} 2>/dev/null"
    yield f"[ ! -S {places.supervisor_socket} ] || yes socket"
    if part.gpus or part.driver:
        yield from ("pci", f"gpus {PATIENCE_S}")
    if part.driver:
        yield f"nvidia_driver {part.driver.branch}"
    if DOCKER in part.tools:
        yield f"docker_of {SOCKET}"
    if part.toolkit:
        yield f"docker_restart {places.docker_before_toolkit} {SOCKET}"
    if SYSTEMD_RUN in part.tools:
        yield "[ ! -d /run/systemd/system ] || yes booted"
        yield "[ ! -S /run/dbus/system_bus_socket ] || yes bus"
    for name in part.tools:
        yield f"tool {places.tools} '' {name} {' '.join(VERSION_ARGS.get(name, ('--version',)))}"


def _weights(part: WeightsPart) -> Iterator[str]:
    path = on_machine(part.path)
    yield f"key stat; stat_of {path}"
    yield f"key partial; stat_of {path}.part"
    yield f"text_of verified {on_machine(record_of(part.sha256, part.path))}"
    if part.program:
        folder = on_machine(program_folder(part.sha256))
        yield f"key unpacked; tree_of {folder}"
        yield f"text_of unpacked_verified {folder}.verified"


def _replica(part: ReplicaPart) -> Iterator[str]:
    places = _places(part)
    engine = engines()[part.engine]
    names = [part.name, *([part.renamed_from] if part.renamed_from else [])]
    programs = [places.program_file(side_program(name, side)) for name in names for side in Side]
    yield f"text_of drained {places.drained}"
    yield f"drained_in {places.stack_folder}"
    if part.runtime is Runtime.SYSTEMD:
        yield f"altered_units {part.stack} {part.name}"
        yield f"drop_ins 'enginehouse-{part.stack}_{part.name}_?-????????.service'"
    if part.image:
        asked_of = " ".join(container_name(part, side) for side in Side)
        yield f"containers_as_are {SOCKET.removeprefix('unix://')} {asked_of}"
    yield f"text_of hung {places.hung}"
    yield f"text_of hangs {places.hangs}"
    if part.renamed_from:
        yield f"text_of former_drained {places.other(part.renamed_from).drained}"
    yield f"files_below {places.part} {' '.join(programs)}"
    yield f"claims_in {STATE}"
    if part.gpus:
        yield from ("pci", f"gpus {PATIENCE_S}")
    yield _listeners(part)
    if part.elsewhere is None:
        yield from _servers(places.other(part.gateway.part))
    yield f"key weights; stat_of {on_machine(part.weights_path)}"
    yield f"text_of verified {on_machine(record_of(part.weights, part.weights_path))}"
    folder = f"{on_machine(program_folder(part.binary))}/" if part.binary else "''"
    asked = engine.version_args if part.image is None else ("--version",)
    yield f"tool {places.tools} {folder} {part.program} {shlex.join(asked)}"
    yield f"kept_tools {places.tools}"


def _elsewhere(part: Part) -> Iterator[str]:
    places = _places(part)
    match part:
        case ReplicaPart():
            yield from _gateway_of(part)
        case GatewayPart():
            yield f"processes {shlex.quote(part.stack)}"
            for name in _replicas(part):
                yield from _of_other(places, name)
        case EndpointPart():
            for name in part.behind:
                yield from _of_other(places, name)


def _gateway_of(part: ReplicaPart) -> Iterator[str]:
    """The gateway of a replica that is on another machine, and what forbids to touch it."""
    places = _places(part)
    yield f"text_of frozen {places.frozen}"
    yield f"text_of owner {places.owner}"
    yield f"drained_in {places.stack_folder}"
    if engine_keys.asks(part):
        yield from engine_keys.probe(places.other(part.gateway.part))
    yield from _servers(places.other(shlex.quote(part.gateway.part)))


def _servers(gateway: Places) -> Iterator[str]:
    yield f"gateway_stats {metrics_port_file(gateway)}"
    yield f"text_of manifest.{gateway.name} {gateway.manifest}"


def _gateway(part: GatewayPart) -> Iterator[str]:
    places = _places(part)
    more = (places.program_file(CERTIFICATES),) if certificates.is_made(part) else ()
    yield f"files_below {' '.join((places.part, places.program_file(part.name), *more))}"
    yield f"claims_in {STATE}"
    yield _listeners(part)
    yield f"gateway_stats {metrics_port_file(places)}"
    yield from certificates.probe(part, places)
    if engine_keys.sends(part):
        yield from engine_keys.probe(places)
    yield f"key current; readlink {places.part}/current 2>/dev/null"
    yield f"[ ! -S {admin_socket(places)} ] || yes socket"
    yield f"[ ! -s {saved_servers(places)} ] || yes saved"
    for replica in _replicas(part):
        yield from _of_other(places, replica)
    yield f"tool {places.tools} '' {f'{DOCKER} --version' if part.image else 'haproxy -v'}"
    yield f"kept_tools {places.tools}"


def _replicas(part: GatewayPart) -> tuple[str, ...]:
    return tuple(sorted({server.replica for backend in part.backends for server in backend.servers}))


def _endpoint(part: EndpointPart) -> Iterator[str]:
    places = _places(part)
    if part.seal and part.seal.anchor is None:
        yield f"text_of {certificates.AUTHORITY} {places.authority}/ca.pem"
    for name in part.behind:
        yield from _of_other(places, name)


def _of_other(places: Places, name: str) -> Iterator[str]:
    """Another part's manifest, and whether it is drained or hangs."""
    name = shlex.quote(name)
    yield f"text_of manifest.{name} {places.other(name).manifest}"
    yield f"text_of drained.{name} {places.other(name).drained}"
    yield f"text_of hung.{name} {places.other(name).hung}"


def _host_folders(places: Places) -> tuple[str, ...]:
    return (places.part, *(f"{places.part}/{name}" for name in ("log", "run", "programs")))


def _places(part: Part) -> Places:
    """Places whose state folder is the script's own variable.

    The schema lets no name in that needs quoting; but some parts are what a machine says that they are.
    """
    return Places(state=STATE, stack=shlex.quote(part.stack), host=shlex.quote(part.host), name=shlex.quote(part.name))


_KINDS: Mapping[type[Part], Callable[[Any], Iterator[str]]] = {
    HostPart: _host,
    WeightsPart: _weights,
    ReplicaPart: _replica,
    GatewayPart: _gateway,
    EndpointPart: _endpoint,
}
