"""From a spec and what is locked to a plan. Pure: equal ones give equal plans."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from enginehouse.engines import engines
from enginehouse.gateway import files as gateway_files
from enginehouse.planner.allocate import HostAllocation, allocate
from enginehouse.planner.container import Container, Registry
from enginehouse.planner.drivers import driver_of, toolkit_of
from enginehouse.planner.hardware import Gpus, ReplicaGpus
from enginehouse.planner.images import registry_of
from enginehouse.planner.parts import (
    DOCKER,
    SYSTEMD_RUN,
    TOOLKIT,
    Become,
    Client,
    Connection,
    ConnectionKind,
    EndpointPart,
    GatewayLink,
    GatewayPart,
    HostPart,
    Limits,
    Plan,
    ReplicaPart,
    Route,
    Runtime,
    Share,
    Ssh,
    WeightsPart,
)
from enginehouse.planner.seals import TlsMode
from enginehouse.planner.stands import Stand, backend, backend_name, key_args, listening, stands_of
from enginehouse.planner.tls import chain_of, listens_on, named_on, seal_of, tls_of, url_of
from enginehouse.render.symbols import literal
from enginehouse.spec.container import Container as WrittenContainer
from enginehouse.spec.endpoint import Route as WrittenRoute
from enginehouse.spec.host_keys import plain_key
from enginehouse.spec.hosts import Host, every_host, gateway_hosts
from enginehouse.spec.lock import Lock
from enginehouse.spec.model import Binary, Deployment, Model, Spec
from enginehouse.spec.names import endpoint_name, gateway_name, program_name, replica_name, weights_name

REQUIRED_TOOLS: Mapping[str, str] = {"haproxy": "2.6", "supervisord": "4.2", "curl": "7.64", "flock": "2.34"}
"""Lowest versions that were tried or whose used features are documented: HAProxy 2.6 and supervisor 4.2 are
Debian 12's, curl 7.64 Debian 10's, flock (util-linux) 2.34 Ubuntu 20.04's."""

GATEWAY_TOOL = "haproxy"
"""Of them, what is needed only where a gateway is."""

SSH_TOOLS: Mapping[str, str] = {"socat": "1.7"}
"""Needed beside them on a machine reached over SSH, to get to unix sockets there; 1.7.4 is Debian 12's."""

OWN_CA_TOOLS: Mapping[str, str] = {"openssl": "1.1.1"}
"""Needed where a gateway's certificate is made; 1.1.1 is Debian 10's, and older ones get no more repairs."""

DOCKER_TOOLS: Mapping[str, str] = {DOCKER: "20.10"}
"""Needed beside them where engines run in containers; 20.10 is Debian 12's."""

SYSTEMD_TOOLS: Mapping[str, str] = {SYSTEMD_RUN: "241"}
"""Needed beside them where engines run in units of their own; 241 is Debian 10's and knows all that those are told."""

KEYED_UNIT_TOOLS: Mapping[str, str] = {SYSTEMD_RUN: "247"}
"""The same where those ask for a key: `LoadCredential=`, which gives it to a unit's user alone, came with 247."""

CONTAINED_GPU_TOOLS: Mapping[str, str] = {TOOLKIT: "1.12"}
"""Needed beside Docker where engines in containers compute on GPUs; 1.12 is the oldest whose answer was seen (2023)."""


def plan(spec: Spec, lock: Lock) -> Plan:
    """The plan of a valid spec and lock (no diagnostics of severity error)."""
    ports = allocate(spec, lock).hosts
    sites = [_site(spec, host, ports) for host in gateway_hosts(spec)]
    fronts = {site.gateway.host for site in sites}
    return Plan(
        stack=spec.name,
        description=spec.description,
        scope=spec.endpoint.scope,
        hosts=tuple(_host(spec, host, fronts=host.name in fronts) for host in every_host(spec)),
        weights=tuple(part for site in sites for part in site.weights),
        replicas=tuple(part for site in sites for part in site.replicas),
        gateways=tuple(site.gateway for site in sites),
        endpoints=tuple(site.endpoint for site in sites),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Site:
    """What makes one endpoint: engines with their weights, and the gateway before them."""

    weights: tuple[WeightsPart, ...]
    replicas: tuple[ReplicaPart, ...]
    gateway: GatewayPart
    endpoint: EndpointPart


def _site(spec: Spec, front: Host, ports: Mapping[str, HostAllocation]) -> _Site:
    spec = replace(spec, endpoint=named_on(spec.endpoint, front.name))
    stands = stands_of(spec, front, ports)
    gateway = _gateway(spec, front, stands, ports[front.name])
    replicas = tuple(
        _replica(stand, name, index, replica, gateway)
        for name in spec.deployments
        for stand in stands
        for index, replica in enumerate(stand.replicas(name))
    )
    weights = (
        part
        for name in spec.deployments
        for stand in stands
        if stand.replicas(name)
        for part in _files(stand.spec, stand.host, name, stand.spec.deployments[name])
    )
    return _Site(
        weights=tuple(weights),
        replicas=replicas,
        gateway=replace(gateway, files=gateway_files(gateway, chain=chain_of(spec.endpoint))),
        endpoint=_endpoint(spec, gateway, replicas),
    )


def _host(spec: Spec, host: Host, *, fronts: bool) -> HostPart:
    """`fronts`: whether a gateway is on it."""
    connection = _connection(spec, host)
    own_ca = spec.endpoint.tls.mode is TlsMode.OWN_CA and fronts
    here = [deployment for deployment in spec.deployments.values() if deployment.runs_on == host.group]
    runtimes = {deployment.runtime for deployment in here}
    apart = spec.endpoint.image is not None and fronts
    needs_haproxy = fronts and not apart
    tools = {
        **{name: version for name, version in REQUIRED_TOOLS.items() if needs_haproxy or name != GATEWAY_TOOL},
        **(SSH_TOOLS if connection.ssh else {}),
        **(OWN_CA_TOOLS if own_ca else {}),
        **(DOCKER_TOOLS if apart or Runtime.DOCKER in runtimes else {}),
        **(CONTAINED_GPU_TOOLS if any(d.gpus and d.runtime is Runtime.DOCKER for d in here) else {}),
        **(SYSTEMD_TOOLS if Runtime.SYSTEMD in runtimes else {}),
        **(KEYED_UNIT_TOOLS if Runtime.SYSTEMD in runtimes and not fronts else {}),
    }
    machine = spec.machines[host.group]
    declared = machine.gpus
    return HostPart(
        name=host.name,
        stack=spec.name,
        host=host.name,
        connection=connection,
        tools=tools,
        gpus=Gpus(model=declared.model, count=declared.count) if declared else None,
        driver=driver_of(machine, spec.site),
        toolkit=toolkit_of(machine, spec.site) if TOOLKIT in tools else None,
    )


def _connection(spec: Spec, host: Host) -> Connection:
    """How the host is reached."""
    ssh = spec.machines[host.group].ssh
    if ssh is None or host.ssh is None:
        return Connection(kind=ConnectionKind.LOCAL)
    return Connection(
        kind=ConnectionKind.SSH,
        ssh=Ssh(
            address=host.ssh.address or host.name,
            port=host.ssh.port,
            user=ssh.user,
            key_file=ssh.key_file,
            jump=ssh.jump,
            become=Become.SUDO if ssh.become else None,
            sudo_password=ssh.sudo_password,
            host_keys=ssh.host_keys,
            pinned=tuple(map(plain_key, host.ssh.host_keys)) or None,
            private_address=host.ssh.private_address,
        ),
    )


def _files(spec: Spec, host: Host, name: str, deployment: Deployment) -> Iterator[WeightsPart]:
    """What a deployment needs of large files: its weights, and its engine's program if the stack brings it."""
    yield _weights(spec, host, name, deployment)
    if deployment.binary:
        program = engines()[deployment.engine].program
        yield _file(spec, host, deployment.binary, program_name, name, deployment.renamed_from, program)


def _weights(spec: Spec, host: Host, name: str, deployment: Deployment) -> WeightsPart:
    return _file(spec, host, deployment.model, weights_name, name, deployment.renamed_from)


def _file(
    spec: Spec,
    host: Host,
    file: Model | Binary,
    named: Callable[[str, str], str],
    deployment: str,
    former: str | None,
    program: str | None = None,
) -> WeightsPart:
    scheme, _, location = file.source.partition("://")
    file_name = location.split("?")[0].rstrip("/").rsplit("/", 1)[-1]
    stored = f"@{{state}}/weights/{file.sha256[:16]}/{literal(file_name)}"
    return WeightsPart(
        name=named(deployment, host.name),
        stack=spec.name,
        host=host.name,
        connection=_connection(spec, host),
        renamed_from=named(former, host.name) if former else None,
        source=file.source,
        sha256=file.sha256,
        file_name=file_name,
        path=literal(location) if scheme == "host" else stored,
        program=program,
    )


def _replica(stand: Stand, deployment_name: str, index: int, name: str, gateway: GatewayPart) -> ReplicaPart:
    spec, host = stand.spec, stand.host
    deployment = _without_symbols(spec.deployments[deployment_name])
    engine = engines()[deployment.engine]
    path = _weights(spec, host, deployment_name, deployment).path
    args = {**listening(stand, engine.args(deployment, path)), **key_args(stand, engine)}
    declared, devices = spec.machines[host.group].gpus, stand.ports.gpus.get(name)
    return ReplicaPart(
        name=name,
        stack=spec.name,
        host=host.name,
        connection=_connection(spec, host),
        elsewhere={gateway.host: gateway.connection} if stand.address else None,
        renamed_from=replica_name(former, host.name, index) if (former := deployment.renamed_from) else None,
        deployment=deployment_name,
        index=index,
        engine=engine.name,
        version=deployment.version,
        program=DOCKER if deployment.image else engine.program,
        binary=deployment.binary.sha256 if deployment.binary else None,
        image=deployment.image,
        runtime=deployment.runtime if deployment.runtime is Runtime.SYSTEMD else None,
        memory_limit_mib=deployment.memory_gib * 1024 if deployment.memory_gib else None,
        registry=_registry(spec, deployment.image) if deployment.image else None,
        container=_container(deployment.container) if deployment.container else None,
        gpus=ReplicaGpus(model=declared.model, devices=devices) if declared and devices else None,
        args=dict(sorted(args.items())),  # as on the wire, which keeps no order
        env=listening(stand, engine.env(deployment)),
        weights=deployment.model.sha256,
        weights_path=path,
        served_name=deployment.model.served_name,
        slots=deployment.slots,
        context_tokens=deployment.context_tokens,
        memory_mib=engine.memory_mib(deployment, 0),
        ports=stand.ports.replicas[name],
        address=stand.address,
        ready_within_s=deployment.health.ready_within_s,
        drain_s=deployment.health.drain_s,
        hang_after_s=deployment.health.hang_after_s,
        gateway=_link(gateway, deployment_name, name),
        max_unavailable=spec.rollout.max_unavailable,
    )


def _registry(spec: Spec, image: str) -> Registry | None:
    written = spec.site.registries.get(registry_of(image))
    if written is None:
        return None
    password = written.password.secret if written.password else None
    return Registry(mirror=written.mirror, username=written.username, password=password)


def _container(written: WrittenContainer) -> Container | None:
    """None if it says nothing: then it is no other container."""
    limits = ((limit.name, getattr(written.ulimits, limit.name)) for limit in fields(written.ulimits))
    ulimits = {name: -1 if value == "unlimited" else value for name, value in limits if value is not None}
    made = Container(shm_gib=written.shm_gib, ulimits=ulimits)
    return made if made != Container() else None


def _without_symbols(deployment: Deployment) -> Deployment:
    """The deployment with its free texts made literal, so that no option can name a secret or a folder."""
    return replace(deployment, options={name: _literal(value) for name, value in deployment.options.items()})


def _literal(value: Any) -> Any:
    if isinstance(value, str):
        return literal(value)
    return [_literal(item) for item in value] if isinstance(value, list | tuple) else value


def _link(gateway: GatewayPart, deployment: str, replica: str) -> GatewayLink:
    backend = next(b for b in gateway.backends if b.deployment == deployment)
    servers = {s.side.value: s.name for s in backend.servers if s.replica == replica}
    return GatewayLink(host=gateway.host, part=gateway.name, backend=backend.name, servers=servers)


def _gateway(spec: Spec, host: Host, stands: Sequence[Stand], ports: HostAllocation) -> GatewayPart:
    """On `host`, whose metrics port is among its `ports`."""
    assert ports.metrics_port is not None, "the host of a gateway has one"
    endpoint = spec.endpoint
    return GatewayPart(
        name=gateway_name(host.name),
        stack=spec.name,
        host=host.name,
        connection=_connection(spec, host),
        elsewhere={s.host.name: _connection(spec, s.host) for s in stands if s.address} or None,
        address=listens_on(endpoint),
        port=endpoint.port,
        metrics_port=ports.metrics_port,
        public=isinstance(endpoint.keys, str),
        clients=_clients(spec),
        backends=tuple(backend(name, [s for s in stands if s.replicas(name)]) for name in spec.deployments),
        routes=_routes(spec),
        tls=tls_of(endpoint),
        image=endpoint.image,
        registry=_registry(spec, endpoint.image) if endpoint.image else None,
        limits=Limits(
            queue_s=endpoint.timeouts.queue_s,
            first_token_s=endpoint.timeouts.first_token_s,
            total_s=endpoint.timeouts.total_s,
        ),
    )


def _routes(spec: Spec) -> tuple[Route, ...]:
    """One for each served name, in the order of the deployments; `endpoint.routes` adds names and shares."""
    serving: dict[str, list[str]] = {}
    for name, deployment in spec.deployments.items():
        serving.setdefault(deployment.model.served_name, []).append(name)
    written = {route.model: route for route in spec.endpoint.routes}
    return tuple(_route(model, names, written.get(model)) for model, names in serving.items())


def _route(model: str, serving: list[str], written: WrittenRoute | None) -> Route:
    aliases = written.aliases if written else ()
    shares = (written.to if written else {}) or dict.fromkeys(serving, 1)
    return Route(
        names=(model, *aliases),
        shares=tuple(Share(backend=backend_name(n), weight=shares[n]) for n in serving if shares.get(n)),
    )


def _clients(spec: Spec) -> tuple[Client, ...]:
    if isinstance(spec.endpoint.keys, str):
        return ()
    return tuple(
        Client(name=k.name, secrets=k.secrets, requests_per_minute=k.requests_per_minute, concurrent=k.concurrent)
        for k in spec.endpoint.keys
    )


def _endpoint(spec: Spec, gateway: GatewayPart, replicas: tuple[ReplicaPart, ...]) -> EndpointPart:
    return EndpointPart(
        name=endpoint_name(spec.endpoint.scope, gateway.host),
        stack=spec.name,
        host=gateway.host,
        connection=gateway.connection,
        elsewhere=gateway.elsewhere,
        url=url_of(spec.endpoint, gateway),
        seal=seal_of(spec.endpoint, gateway),
        models=tuple(route.names[0] for route in gateway.routes),
        aliases=tuple(name for route in gateway.routes for name in route.names[1:]),
        public=gateway.public,
        clients=gateway.clients,
        behind=(*(r.name for r in replicas), gateway.name),
    )
