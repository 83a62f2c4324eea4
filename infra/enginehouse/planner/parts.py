"""The plan: an immutable list of parts, each the smallest thing that changes together.

Texts in a part may hold symbols, which `render.symbols` fills in on the way to a machine:
`@{state}` (Enginehouse's folder on that machine), `@{part}` (this part's folder), `@{release}` (this release's folder),
`@{port}`, `@{keys}` (the file with the keys that an engine accepts), `@{tool:NAME}` (a program the machine has),
`@{secret:NAME}` and `@{sha256:NAME}` (a secret, its hash).
Digests are taken over symbols, so neither a secret nor a machine's folder is ever in one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from enginehouse.planner.container import Container, Registry, passwords_of
from enginehouse.planner.hardware import Driver, Gpus, ReplicaGpus, Toolkit
from enginehouse.planner.seals import Seal, Tls

DOCKER = "docker"
"""The program of a replica whose engine runs in a container."""
SYSTEMD_RUN = "systemd-run"
"""The program that starts an engine in a unit of its own."""
TOOLKIT = "nvidia-ctk"
"""NVIDIA's container toolkit, by which Docker gives GPUs to containers."""


class OnChange(StrEnum):
    """What a changed file asks of the part that owns it."""

    RESTART = "restart"
    RELOAD = "reload"
    NONE = "none"


class Side(StrEnum):
    """The two fixed places of a replica at the gateway; one serves, the other takes the next release."""

    A = "a"
    B = "b"

    def other(self) -> Side:
        return Side.B if self is Side.A else Side.A


class Scope(StrEnum):
    """How many endpoints a stack has."""

    SHARED = "shared"
    EACH_HOST = "each_host"


class ConnectionKind(StrEnum):
    LOCAL = "local"
    SSH = "ssh"


class Become(StrEnum):
    """How scripts get the rights of root."""

    SUDO = "sudo"


class HostKeys(StrEnum):
    """Which host keys are believed."""

    VERIFY = "verify"
    ACCEPT_NEW = "accept-new"
    PINNED = "pinned"


class Runtime(StrEnum):
    """What keeps an engine running."""

    SUPERVISOR = "supervisor"
    DOCKER = "docker"
    SYSTEMD = "systemd"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ssh:
    """What the stack says about the way to a machine; OpenSSH's own configuration says the rest."""

    address: str
    port: int | None = None
    user: str | None = None
    key_file: str | None = None
    """As it is written, so the same for everybody: `~/` is filled in where it is used."""
    jump: str | None = None
    become: Become | None = None
    sudo_password: str | None = None
    """The name of the secret; None if sudo asks for none."""
    host_keys: HostKeys = HostKeys.VERIFY
    private_address: str | None = None
    """Where the machines of the stack reach each other, if the stack says so."""
    pinned: tuple[str, ...] | None = None
    """With `pinned`: the only keys that are believed, each `TYPE BASE64` or its fingerprint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """How a host is reached. Never part of a digest: reaching a machine another way changes nothing on it."""

    kind: ConnectionKind
    ssh: Ssh | None = None

    @property
    def sudo_password(self) -> str | None:
        """The name of the secret that sudo is given there."""
        return self.ssh.sudo_password if self.ssh else None


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A rendered file, placed at `path` below the part's release folder."""

    path: str
    content: str
    on_change: OnChange
    mode: int = 0o640


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What every part has. `name` is an identity: resource name and folder name. `host` runs it."""

    name: str
    stack: str
    host: str
    connection: Connection
    elsewhere: Mapping[str, Connection] | None = None
    """How other machines are reached that this part works with, by host: the gateway's of a replica, the replicas' of a
    gateway and of an endpoint. None if there are none."""
    renamed_from: str | None = None

    def passwords(self) -> tuple[str, ...]:
        """Names of the secrets that sudo is given on its machine and on those others, sorted."""
        ways = (self.connection, *(self.elsewhere or {}).values())
        return tuple(sorted({name for way in ways if (name := way.sudo_password)}))


@dataclass(frozen=True, slots=True, kw_only=True)
class HostPart(Part):
    """Base folders, required programs and the process supervisor of one stack on one machine."""

    tools: Mapping[str, str]
    """Program name to the lowest version that will do, such as {"haproxy": "2.6"}."""
    gpus: Gpus | None = None
    """What the stack file says that the machine has."""
    driver: Driver | None = None
    """None: whatever is there."""
    toolkit: Toolkit | None = None
    """None: it has to be there if `tools` name it."""
    files: tuple[File, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsPart(Part):
    """One model file on one machine, verified. Shared by all stacks of the machine, by content."""

    source: str
    sha256: str
    file_name: str
    path: str
    """Where the file is on the machine, with symbols."""
    program: str | None = None
    """Not weights but an engine's program, or an archive that holds it; this is what it is called."""

    @property
    def what(self) -> str:
        """As it is called in sentences."""
        return "engine's program" if self.program else "weights"


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayLink:
    """Where a replica stands at the gateway."""

    host: str
    part: str
    backend: str
    servers: Mapping[str, str]
    """Side to server name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaPart(Part):
    """One running copy of a deployment."""

    deployment: str
    index: int
    engine: str
    version: str
    program: str
    """What is started, the engine's executable or `docker`: the key of a `@{tool:...}` symbol."""
    binary: str | None = None
    """SHA-256 of the file that the executable comes from; None if the machine has one on its PATH."""
    image: str | None = None
    """The container image that the engine comes from, with its digest; None: it is a program of the machine."""
    runtime: Runtime | None = None
    """Only `systemd`: the engine runs in a unit of its own. None: in a container if there is an image, else neither."""
    memory_limit_mib: int | None = None
    """The most memory that the engine may take, where it runs in a container or a unit."""
    registry: Registry | None = None
    """None: the image is fetched by its name, as whoever the machine's own Docker is logged in."""
    container: Container | None = None
    gpus: ReplicaGpus | None = None
    """None: nothing is said about GPUs, neither to the engine nor to Docker."""
    args: Mapping[str, str | bool | tuple[str, ...]]
    """Long flags without dashes, sorted (the wire keeps no order); True is a bare flag, a tuple repeats the flag."""
    env: Mapping[str, str] = field(default_factory=dict)
    weights: str
    """SHA-256 of the weights."""
    weights_path: str
    served_name: str
    slots: int
    context_tokens: int
    memory_mib: int
    """What a copy is estimated to need beside its weights, whose size the machine knows."""
    ports: Mapping[str, int]
    """Side to port."""
    address: str | None = None
    """Where it listens, if that is not loopback: the gateway is on another machine."""
    ready_within_s: int
    drain_s: int
    hang_after_s: int | None = None
    """None: by the size of the weights, which the machine knows."""
    gateway: GatewayLink
    max_unavailable: int = 1
    """How many replicas of the deployment may be exchanged at once."""
    files: tuple[File, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One side of one replica, as the gateway sees it."""

    name: str
    replica: str
    side: Side
    port: int
    host: str | None = None
    """The machine of its engine, if that is not the gateway's own."""
    address: str | None = None
    """Where it is reached; None: on loopback."""
    slots: int | None = None
    """Where they are others than the backend's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """All sides of all replicas of one deployment."""

    name: str
    deployment: str
    slots: int
    context_tokens: int
    servers: tuple[Server, ...]
    sends_key: bool | None = None
    """Whether requests are sent with the key that the stack's engines on other machines ask for; None: no."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """How much of a route's requests a backend gets, in proportion to the other shares; more than 0."""

    backend: str
    weight: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """The names of one model, the one that its engines know first, and the backends that answer."""

    names: tuple[str, ...]
    shares: tuple[Share, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A named key."""

    name: str
    secrets: tuple[str, ...]
    requests_per_minute: int | None = None
    concurrent: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Gateway timeouts, seconds."""

    queue_s: int
    first_token_s: int
    total_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayPart(Part):
    """HAProxy: keys, routes, TLS, queues."""

    address: str
    """Where it listens."""
    port: int
    metrics_port: int
    public: bool
    clients: tuple[Client, ...]
    backends: tuple[Backend, ...]
    limits: Limits
    routes: tuple[Route, ...] = ()
    tls: Tls | None = None
    image: str | None = None
    """The container image that HAProxy comes from, with its digest; None: it is a program of the machine."""
    registry: Registry | None = None
    files: tuple[File, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointPart(Part):
    """Proof from outside that the whole works."""

    url: str
    """Base URL without path, such as `http://127.0.0.1:8080`."""
    models: tuple[str, ...]
    """Each is asked for an answer."""
    public: bool
    clients: tuple[Client, ...]
    aliases: tuple[str, ...] = ()
    """Listed beside the models."""
    seal: Seal | None = None
    """None: without TLS, and reached where the URL says."""
    behind: tuple[str, ...]
    """Names of the parts whose change makes a new proof necessary."""

    @property
    def address(self) -> str:
        """Where the machine itself reaches it, as a connector dials it."""
        return f"tcp:{self.seal.at if self.seal else self.url.removeprefix('http://')}"

    @property
    def public_address(self) -> str:
        """Where clients reach it: host and port."""
        return self.url.partition("://")[2]

    @property
    def names(self) -> tuple[str, ...]:
        """What `/v1/models` lists."""
        return (*self.models, *self.aliases)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything a stack needs, in an order in which each part comes after those it needs."""

    stack: str
    description: str
    scope: Scope
    hosts: tuple[HostPart, ...]
    weights: tuple[WeightsPart, ...]
    replicas: tuple[ReplicaPart, ...]
    gateways: tuple[GatewayPart, ...]
    endpoints: tuple[EndpointPart, ...]
    """One for each gateway, in the same order."""

    def parts(self) -> tuple[Part, ...]:
        return (*self.hosts, *self.weights, *self.replicas, *self.gateways, *self.endpoints)

    def keys(self) -> tuple[str, ...]:
        """Names of the secrets that clients send, sorted."""
        return tuple(sorted({name for part in self.gateways for client in part.clients for name in client.secrets}))

    def private_keys(self) -> tuple[str, ...]:
        """Names of the secrets that are private keys in PEM, sorted."""
        return tuple(sorted({key for gateway in self.gateways if gateway.tls and (key := gateway.tls.private_key)}))

    def passwords(self) -> tuple[str, ...]:
        """Names of the secrets that registries of images and sudo ask for, sorted."""
        registries = [part.registry for part in self.replicas] + [part.registry for part in self.gateways]
        of_registries = {name for registry in registries for name in passwords_of(registry)}
        of_sudo = {name for host in self.hosts if (name := host.connection.sudo_password)}
        return tuple(sorted(of_registries | of_sudo))

    def secrets(self) -> tuple[str, ...]:
        """Names of all secrets the plan mentions, sorted."""
        return tuple(sorted((*self.keys(), *self.private_keys(), *self.passwords())))
