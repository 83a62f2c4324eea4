"""A plan as a person reads it before acting: every part in order, with what it means rather than what it is made of."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Iterable, Iterator, Mapping

from enginehouse.planner.addresses import LOOPBACK, host_and_port
from enginehouse.planner.codec import kind_of, to_plain
from enginehouse.planner.container import Container, Registry
from enginehouse.planner.digests import restart_digest
from enginehouse.planner.parts import (
    Backend,
    Client,
    Connection,
    EndpointPart,
    File,
    GatewayPart,
    HostPart,
    Part,
    Plan,
    ReplicaPart,
    Route,
    WeightsPart,
)
from enginehouse.planner.seals import Tls
from enginehouse.report.lines import Line, Style, line, piece
from enginehouse.spec.lock import NOTHING_LOCKED, Lock
from enginehouse.spec.wording import listed

SHORT = 12
"""Digits of a digest that are shown: enough to tell two apart, short enough to compare by eye."""
LABEL_WIDTH = 12

Entry = tuple[str, str]
"""A label and its value; an empty label continues the one above."""


def plan_text(plan: Plan, lock: Lock) -> tuple[Line, ...]:
    """The whole plan, and which ports of it are locked; equal ones give equal text."""
    return (
        *_title(plan),
        *(row for group in _alike(plan) for row in _group(*group)),
        line(),
        _total("secrets", ", ".join(plan.secrets()) or "none"),
        _total("ports", _pinned(plan, lock)),
    )


def args_text(args: Mapping[str, str | bool | tuple[str, ...]]) -> Iterator[str]:
    """Each argument as it is typed: `--ctx-size 4096`, a bare `--flag`, a repeated flag once per value."""
    for name, value in args.items():
        if isinstance(value, tuple):
            yield from (_flag(name, item) for item in value)
        else:
            yield _flag(name, value)


def _total(label: str, value: str) -> Line:
    return line(piece(label.ljust(LABEL_WIDTH + 3), Style.FAINT), value)


def _pinned(plan: Plan, lock: Lock) -> str:
    """Whether an edit of the stack could move a port or a GPU."""
    loose = [part.name for part in plan.replicas if not _is_pinned(part, lock)]
    loose += [gateway.name for gateway in plan.gateways if lock.of(gateway.host).metrics_port is None]
    if not loose:
        return "pinned by the lock file"
    whose = f" for {listed(loose)}" if lock != NOTHING_LOCKED else ""
    return f"not pinned{whose}; `enginehouse lock {plan.stack}` keeps them when the stack changes"


def _is_pinned(part: ReplicaPart, lock: Lock) -> bool:
    known = lock.of(part.host).replicas
    entry = known.get(part.name) or known.get(part.renamed_from or "")
    return entry is not None and (part.gpus is None or bool(entry.gpus))


def _title(plan: Plan) -> Iterator[Line]:
    count = len(plan.parts())
    about = f": {plan.description}" if plan.description else ""
    yield line(piece(plan.stack, Style.TITLE), about)
    yield line(piece(f"{count} parts, in the order in which they are made", Style.FAINT))


def _alike(plan: Plan) -> Iterable[list[Part]]:
    """The parts; those that differ in nothing but their host come together, where the first of them stands."""
    groups: dict[str, list[Part]] = {}
    for part in plan.parts():
        groups.setdefault(_likeness(part), []).append(part)
    return groups.values()


def _likeness(part: Part) -> str:
    """The same for parts that mean the same, each on its own host."""
    plain = to_plain(part)
    ssh = part.connection.ssh
    plain["connection"] = [ssh.user, ssh.jump, ssh.become] if ssh else part.name
    return f"{kind_of(part)} {json.dumps(plain).replace(part.host, '@{host}')}"


def _group(part: Part, *others: Part) -> Iterator[Line]:
    yield from _part(part)
    if others:
        names = listed(other.name for other in others)
        yield line("  ", piece("and".ljust(LABEL_WIDTH), Style.FAINT), f" {len(others)} like it: {names}")


def _part(part: Part) -> Iterator[Line]:
    yield line()
    yield line(piece(kind_of(part), Style.FAINT), " ", piece(part.name, Style.TITLE))
    for label, value in _entries(part):
        yield line("  ", piece(label.ljust(LABEL_WIDTH), Style.FAINT), " ", value)


def _entries(part: Part) -> Iterator[Entry]:
    yield "on", f"{part.host} ({_way(part.connection)})"
    if part.renamed_from:
        yield "renamed from", part.renamed_from
    match part:
        case HostPart():
            yield from _host(part)
        case WeightsPart():
            yield from _weights(part)
        case ReplicaPart():
            yield from _replica(part)
        case GatewayPart():
            yield from _gateway(part)
        case EndpointPart():
            yield from _endpoint(part)


def _way(connection: Connection) -> str:
    """How the machine is reached, as far as the stack says."""
    if connection.ssh is None:
        return connection.kind.value
    ssh = connection.ssh
    user = f"{ssh.user}@" if ssh.user else ""
    port = f" port {ssh.port}" if ssh.port else ""
    jump = f" through {ssh.jump}" if ssh.jump else ""
    return f"ssh {user}{ssh.address}{port}{jump}" + (f", as root by {ssh.become.value}" if ssh.become else "")


def _host(part: HostPart) -> Iterator[Entry]:
    yield "tools", ", ".join(f"{name} >= {version}" for name, version in part.tools.items())
    if part.gpus:
        yield "gpus", f"{part.gpus.count} x {part.gpus.model}"
    yield from _files(part.files)


def _weights(part: WeightsPart) -> Iterator[Entry]:
    yield "source", part.source
    yield "sha256", part.sha256
    yield "placed at", part.path
    if part.program:
        yield "program", part.program


def _replica(part: ReplicaPart) -> Iterator[Entry]:
    yield "deployment", f"{part.deployment}, copy {part.index}"
    yield "engine", f"{part.engine} {part.version} ({part.program})"
    if part.binary:
        yield "program", f"sha256 {part.binary[:SHORT]}"
    if part.image:
        yield "image", part.image
    if part.runtime:
        yield "runtime", part.runtime
    if part.registry:
        yield "", _registry(part.registry)
    if part.container:
        yield "container", _container(part.container)
    if part.gpus:
        yield "gpus", f"{', '.join(map(str, part.gpus.devices))} of {part.gpus.model}"
    yield from _listed("args", args_text(part.args))
    yield from _listed("env", (f"{name}={_word(value)}" for name, value in part.env.items()))
    yield "weights", f"sha256 {part.weights[:SHORT]} at {part.weights_path}"
    yield "serves", f"{part.served_name}: {part.slots} requests at once, {part.context_tokens} tokens each"
    limit = f", at most {part.memory_limit_mib} MiB" if part.memory_limit_mib else ""
    yield "memory", f"about {part.memory_mib} MiB{limit}"
    address = part.address or LOOPBACK
    yield "sides", ", ".join(f"{side} on {host_and_port(address, port)}" for side, port in part.ports.items())
    yield "gateway", f"{part.gateway.part} on {part.gateway.host}, {part.gateway.backend}"
    yield "limits", f"ready within {part.ready_within_s} s, drained within {part.drain_s} s"
    yield "rollout", f"at most {part.max_unavailable} of {part.deployment} exchanged at once, the first one alone"
    yield from _files(part.files)
    yield "restart", f"digest {restart_digest(part)[:SHORT]}"


def _registry(registry: Registry) -> str:
    mirror = f"fetched from {registry.mirror}" if registry.mirror else "fetched"
    return f"{mirror} as {registry.username} with secret {registry.password}" if registry.username else mirror


def _container(container: Container) -> str:
    shm = [f"{container.shm_gib} GiB in /dev/shm"] if container.shm_gib else []
    limits = (f"{name} {'unlimited' if value == -1 else value}" for name, value in container.ulimits.items())
    return ", ".join([*shm, *limits])


def _gateway(part: GatewayPart) -> Iterator[Entry]:
    yield "listens on", host_and_port(part.address, part.port)
    if part.image:
        yield "image", part.image
    if part.registry:
        yield "", _registry(part.registry)
    if part.tls:
        yield from _tls(part.tls)
    yield "metrics", f"127.0.0.1:{part.metrics_port}"
    yield from _listed("clients", _clients(part.clients, part.public))
    yield from _listed("routes", (_route(route) for route in part.routes))
    yield from _listed("backends", (_backend(backend) for backend in part.backends))
    limits = part.limits
    yield "limits", f"queue {limits.queue_s} s, first token {limits.first_token_s} s, silence {limits.total_s} s"
    yield from _files(part.files)
    yield "restart", f"digest {restart_digest(part)[:SHORT]}"


def _tls(tls: Tls) -> Iterator[Entry]:
    if tls.certificate and tls.ends:
        yield "certificate", f"sha256 {tls.certificate[:SHORT]}, ends {tls.ends[:10]}"
        yield "private key", f"secret {tls.private_key}"
    else:
        yield "certificate", f"made and renewed on the machine, for {', '.join(tls.names)}"


def _endpoint(part: EndpointPart) -> Iterator[Entry]:
    yield "url", part.url
    yield "models", ", ".join(part.names)
    yield from _listed("clients", _clients(part.clients, part.public))
    yield "proves", ", ".join(part.behind)


def _clients(clients: Iterable[Client], public: bool) -> Iterator[str]:
    if public:
        yield "public: no key is asked for"
    for client in clients:
        limits = ((client.requests_per_minute, "requests a minute"), (client.concurrent, "at once"))
        said = [f"at most {count} {unit}" for count, unit in limits if count is not None]
        yield ", ".join([f"{client.name} with secret {' or '.join(client.secrets)}", *said])


def _route(route: Route) -> str:
    total = sum(share.weight for share in route.shares)
    if len(route.shares) == 1:
        return f"{', '.join(route.names)} to {route.shares[0].backend}"
    shares = ", ".join(f"{share.backend} {share.weight} of {total}" for share in route.shares)
    return f"{', '.join(route.names)} to {shares}"


def _backend(backend: Backend) -> str:
    servers = ", ".join(
        f"{server.name} {host_and_port(server.address or '', server.port)}" for server in backend.servers
    )
    return f"{backend.name}: {servers}"


def _files(files: tuple[File, ...]) -> Iterator[Entry]:
    yield from _listed("files", (_file(file) for file in files))


def _file(file: File) -> str:
    """The digest is the one that a preview's diff shows for the file."""
    digest = hashlib.sha256(file.content.encode()).hexdigest()[:SHORT]
    return f"{file.path} sha256 {digest}, mode {file.mode:04o}, on change: {file.on_change.value}"


def _listed(label: str, values: Iterable[str]) -> Iterator[Entry]:
    for index, value in enumerate(values):
        yield ("" if index else label), value


def _flag(name: str, value: str | bool) -> str:
    return f"--{name}" if isinstance(value, bool) else f"--{name} {_word(value)}"


def _word(value: str) -> str:
    """Quoted like a shell word, except that symbols such as `@{port}` stay readable."""
    bare = value.replace("@{", "").replace("}", "")
    return value if shlex.quote(bare) == bare else shlex.quote(value)
