"""What runs of a replica, and what its next release would look like. Pure; `replica` turns this into steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import enginehouse.converge.claimed as claimed
import enginehouse.converge.container_drift as container_drift
import enginehouse.converge.containers as containers
import enginehouse.converge.engine_keys as engine_keys
import enginehouse.converge.engine_unit as engine_unit
import enginehouse.converge.gpus as gpus
import enginehouse.converge.symptoms as symptoms
import enginehouse.converge.watch as watch
from enginehouse.converge.facts import Facts, Process, Tool
from enginehouse.converge.manifest import Left, Manifest
from enginehouse.converge.places import Places, admin_socket, saved_servers, side_program
from enginehouse.converge.programs import GREETING, choose_tool, placed, program_file, start_script, words
from enginehouse.converge.steps import HandOver, Placed, Seat, Sh, Staged, wrong_files
from enginehouse.engines import engines
from enginehouse.engines.base import Engine
from enginehouse.gateway.runtime import ServerState
from enginehouse.gateway.stats import ServerRow
from enginehouse.inventory.claims import Claimed
from enginehouse.planner.addresses import LOOPBACK
from enginehouse.planner.digests import release_id
from enginehouse.planner.parts import GatewayPart, ReplicaPart, Runtime, Side
from enginehouse.render.symbols import Secret, fill

MEMORY_MARGIN = 1.1
"""An estimate is good to some percent, and an engine that is killed for memory costs more than a short stall."""
ENGINE_STOP_S = 5
"""From SIGTERM to SIGKILL, after draining. With a request in progress llama-server may never end by itself (measured
2026-11, b11434)."""

STOP_APART_S = 30
"""How long the supervisor waits for a start script whose engine runs in a container or a unit of its own: Docker takes
seconds more on a busy machine, and a script that is killed leaves its engine to the next start (measured 2026-12)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """One side of a replica, under its present or its former name."""

    places: Places
    side: Side
    address: str
    port: int
    model: str
    drain_s: int
    seat: Seat | None
    """Where it stands at the running gateway; None if no gateway runs or it does not know this side with this port."""
    process: Process | None
    stop_s: int = ENGINE_STOP_S
    """How long the supervisor waits for its end before it is killed."""
    hangs: bool = False
    """The process is the one that the watchdog says hangs: it finishes nothing more."""

    @property
    def program(self) -> str:
        return side_program(self.places.name, self.side)

    @property
    def file(self) -> str:
        return self.places.program_file(self.program)

    @property
    def log(self) -> str:
        return self.places.log(self.side)


class Replica:
    """A replica part and the facts of its machine, seen together."""

    def __init__(self, part: ReplicaPart, facts: Facts, secrets: Mapping[str, Secret]) -> None:
        self.part = part
        self.facts = facts
        self.places = Places.of(part, facts.state)
        self.release = release_id(part)
        self._secrets = secrets
        self.gateway_host = part.gateway.host if part.elsewhere else None
        """None: the gateway is on the replica's own machine."""
        state = facts.elsewhere.get(part.gateway.host, facts.state)
        self.gateway = replace(self.places, state=state, name=part.gateway.part)
        self.gateway_socket = admin_socket(self.gateway)
        self.saved_servers = saved_servers(self.gateway)

    @property
    def engine(self) -> Engine:
        return engines()[self.part.engine]

    @cached_property
    def tool(self) -> Tool:
        """The engine's program in the part's version. Raises `ConvergeFailed` naming what was found instead."""
        engine, part = self.engine, self.part
        return choose_tool(
            replace(self.facts, kept_tools={}) if part.binary else self.facts,
            part.program,
            host=part.host,
            wanted=f"{engine.title} {part.version}" if part.image is None else "Docker",
            fits=lambda tool: bool(part.image) or engine.installed_version(tool.version) == part.version,
        )

    def runner(self, side: Side) -> Runner:
        """That side as this release would use it."""
        return _runner(self.part, self.places, side, self.facts, self.part.drain_s)

    def running(self) -> tuple[Runner, ...]:
        """Every side with a process: the one the gateway uses, then the one the manifest names, former names last."""
        known = self.facts.manifest.side if self.facts.manifest else None
        found = [runner for runner in (*self._own(), *self._former()) if runner.process]
        return tuple(sorted(found, key=lambda r: (not self.takes_traffic(r), r.places != self.places, r.side != known)))

    def idle(self) -> tuple[Runner, ...]:
        """Every side without a process, former names last."""
        return tuple(runner for runner in (*self._own(), *self._former()) if runner.process is None)

    def serving(self) -> Runner | None:
        """The side that runs exactly this release, from files, in a unit or container nobody altered, and not hung."""
        return next((runner for runner in self.running() if self._is_this_release(runner)), None)

    @cached_property
    def gpus(self) -> tuple[str, ...]:
        """UUIDs of its GPUs. Raises `ConvergeFailed` if the machine does not have them."""
        return gpus.uuids(self.part, self.facts)

    @property
    def claims(self) -> tuple[Claimed, ...]:
        return claimed.wanted(self.part, self.gpus)

    def needed_mib(self) -> int:
        """Memory for one more engine: the estimate, and the weights as large as they are on the machine."""
        weights = self.facts.texts.get("weights", "").split()
        weights_mib = int(weights[0]) >> 20 if weights else 0
        return round((self.part.memory_mib + weights_mib) * MEMORY_MARGIN)

    def free_mib(self) -> int:
        """What there is for it: memory of its GPUs, or of the machine."""
        own = gpus.free_mib(self.part, self.facts)
        return self.facts.memory_mib if own is None else own

    def computes_on_gpus(self) -> bool:
        """Whether its GPUs have memory of their own, which no other part takes."""
        return gpus.free_mib(self.part, self.facts) is not None

    def folder(self, side: Side) -> str:
        return self.places.release(f"{self.release}-{side}")

    def files(self, side: Side) -> tuple[Placed, ...]:
        """Everything this release needs on that side; the supervisor's program file is the last."""
        part, folder = self.part, self.folder(side)
        symbols = {
            "state": self.places.state,
            "part": self.places.part,
            "release": folder,
            "port": str(part.ports[side]),
            "side": side.value,
            "keys": self._read_keys(side),
            f"tool:{part.program}": self.tool.path,
        }
        command = [fill(word, symbols, self._secrets) for word in words(f"@{{tool:{part.program}}}", part.args)]
        env = {name: fill(value, symbols, self._secrets) for name, value in part.env.items()}
        greeting = f"{GREETING}release {self.release} starts on side {side}, port {part.ports[side]}"
        start: tuple[Placed, ...]
        if starter := _apart(part, self.gpus):
            weights = fill(part.weights_path, symbols, self._secrets)
            starts = [
                starter(
                    form,
                    self.places,
                    side,
                    release=self.release,
                    weights=weights,
                    greeting=greeting,
                    command=command,
                    env=env,
                )
                for form in containers.same_scripts(part)
            ]
            start = next((files for files in starts if self._runs(side, files)), starts[0])
        else:
            env |= {gpus.VISIBLE: ",".join(self.gpus)} if self.gpus else {}
            keys = symbols["keys"] if engine_keys.asks(part) else ""
            start = (start_script(folder, f"{part.stack}/{part.name}/{side}", greeting, command, env, keys=keys),)
        return (
            *placed(part.files, folder, symbols, self._secrets),
            *start,
            self.program_file(self.runner(side), self.release),
        )

    def prepare(self) -> Iterator[Sh]:
        """What an engine in a container or a unit of its own needs before its release is staged."""
        if self.part.image:
            yield containers.bring(self.part, self.places, self.tool.path, self._secrets)
        yield from engine_unit.set_aside(self.part, self.facts)

    def keys(self, side: Side) -> Staged | None:
        """The keys that this release accepts on that side, for the engine alone; None if it asks for none."""
        path = engine_keys.file(self.places, self.release, side)
        return engine_keys.wanted(self.part, self.facts, path, self.places.inside(path))

    def hand_over(self, side: Side) -> tuple[HandOver, ...]:
        """What brings them, unless they are there."""
        keys = self.keys(side)
        if keys is None or engine_keys.is_there(keys, self.facts):
            return ()
        return (engine_keys.hand_over(self.gateway, keys, self.gateway_host),)

    @property
    def is_let_in(self) -> bool:
        """Whether the gateway that runs knows how to talk to the engine: requests without a key would be refused."""
        return not engine_keys.asks(self.part) or engine_keys.is_sent(self.part, self.facts)

    @property
    def comes_later(self) -> bool:
        """Whether one works that asks for no key, while the gateway sends none: an engine that asks for one would be
        without requests until the gateway has been changed, and its turn is after the replicas'."""
        works = self.facts.manifest is not None and not symptoms.complaints(self.part, self.facts)
        return works and not self.is_let_in

    def watched(self, side: Side) -> Placed:
        """What the watchdog is told while this release serves on that side."""
        weights = self.facts.texts.get("weights", "").split()
        keys = engine_keys.file(self.places, self.release, side) if engine_keys.asks(self.part) else ""
        return watch.watched(self.part, self.places, side, int(weights[0]) if weights else 0, keys)

    def program_file(self, runner: Runner, release: str) -> Placed:
        """The supervisor's file that runs `release` on that side."""
        return program_file(
            runner.places,
            runner.program,
            folder=runner.places.release(f"{release}-{runner.side}"),
            side=runner.side,
            release=release,
            stop_signal="TERM",
            stop_s=runner.stop_s,
        )

    def seats(self) -> tuple[Seat, ...]:
        """The replica's server lines at the running gateway."""
        return tuple(seat for side in Side if (seat := self.runner(side).seat))

    def open_to(self, port: int) -> tuple[Seat, ...]:
        """Server lines that would send requests to whatever listens there, also those of a former name."""
        rows = (row for row in _servers(self.part, self.facts) if row.port == port)
        return tuple(_seat_of(row) for row in rows if state_of(row) is ServerState.READY)

    def takes_traffic(self, runner: Runner) -> bool:
        return runner.seat is not None and self.state_of(runner.seat) is ServerState.READY

    def state_of(self, seat: Seat) -> ServerState | None:
        """What the gateway was told about that server; None if it has no such server."""
        row = next((r for r in self.facts.servers or () if (r.backend, r.server) == (seat.backend, seat.server)), None)
        return None if row is None else state_of(row)

    def owner_of(self, runner: Runner) -> str | None:
        """Who else than this side listens on its port, for a message."""
        listener = self.facts.listeners.get(runner.port)
        ours = {p.pid for p in self.facts.processes if p.belongs_to(f"{runner.places.name}/{runner.side}")}
        return None if listener is None or listener.pid in ours else str(listener)

    def _runs(self, side: Side, start: tuple[Placed, ...]) -> bool:
        """Whether this release runs there, started by just these files."""
        process = self.facts.running(f"{self.places.name}/{side}")
        return bool(process and process.release == self.release) and not wrong_files(start, self.facts.files)

    def _read_keys(self, side: Side) -> str:
        """Where the engine finds them."""
        if self.part.runtime is Runtime.SYSTEMD:
            return engine_unit.key_file(self.part, side, self.places.state)
        return engine_keys.file(self.places, self.release, side)

    def _own(self) -> tuple[Runner, ...]:
        """The sides under the present name. One that runs another release has that one's ports, as far as is known."""
        before = _replica_of(self.facts.manifest, self.part)
        sides = (self.runner(side) for side in Side)
        return tuple(
            r
            if r.process and r.process.release == self.release
            else _runner(before, self.places, r.side, self.facts, self.part.drain_s)
            for r in sides
        )

    def _named(self, name: str) -> ReplicaPart:
        """This part as it would be called that."""
        servers = {side.value: side_program(name, side) for side in Side}
        return replace(self.part, name=name, gateway=replace(self.part.gateway, servers=servers))

    def _is_this_release(self, runner: Runner) -> bool:
        if runner.places != self.places or runner.process is None or runner.process.release != self.release:
            return False
        if runner.hangs or engine_unit.altered(self.part, self.facts, runner.side):
            return False
        if container_drift.altered(self.part, self.facts, runner.side):
            return False
        if not engine_keys.is_there(self.keys(runner.side), self.facts):
            return False
        return not wrong_files(self.files(runner.side), self.facts.files)

    def _former(self) -> tuple[Runner, ...]:
        """The sides under the part's former name, with the ports they have there, as far as is known."""
        if not self.part.renamed_from:
            return ()
        places = self.places.other(self.part.renamed_from)
        before = _replica_of(self.facts.former, self._named(self.part.renamed_from))
        return tuple(_runner(before, places, side, self.facts, self.part.drain_s) for side in Side)


def split(replica: Replica, serving: Runner, others: Iterable[Runner]) -> tuple[tuple[Left, ...], tuple[Runner, ...]]:
    """Those of `others` that serve on because the running gateway does not know `serving` yet; those that can go."""
    if replica.facts.servers is None or serving.seat:
        return (), tuple(others)
    staying = [runner for runner in others if replica.takes_traffic(runner)]
    left = tuple(
        Left(
            program=runner.program,
            port=runner.port,
            drain_s=runner.drain_s,
            folder="" if runner.places == replica.places else runner.places.part,
        )
        for runner in staying
    )
    return left, tuple(runner for runner in others if runner not in staying)


def state_of(row: ServerRow) -> ServerState:
    """The administrative state that HAProxy's word stands for. All our servers are checked, except paused ones."""
    if row.status.startswith("MAINT"):
        return ServerState.MAINT
    return ServerState.DRAIN if row.status.startswith(("DRAIN", "no check")) else ServerState.READY


def _apart(part: ReplicaPart, uuids: Sequence[str] = ()) -> Callable[..., tuple[Placed, ...]] | None:
    """What starts the engine of such a part, on these GPUs, if the supervisor does not itself."""
    if part.image:
        return partial(containers.start_script, gpus=uuids)
    return engine_unit.start_script if part.runtime is Runtime.SYSTEMD else None


def _replica_of(manifest: Manifest | None, otherwise: ReplicaPart) -> ReplicaPart:
    part = manifest.part if manifest else otherwise
    return part if isinstance(part, ReplicaPart) else otherwise


def _runner(part: ReplicaPart, places: Places, side: Side, facts: Facts, drain_s: int) -> Runner:
    """A side with the ports and the model of `part`; how long it may drain is the present part's to say."""
    process = facts.running(f"{places.name}/{side}")
    return Runner(
        places=places,
        side=side,
        address=part.address or LOOPBACK,
        port=part.ports[side],
        model=part.served_name,
        drain_s=drain_s,
        seat=_seat(part, side, facts),
        process=process,
        stop_s=STOP_APART_S if _apart(part) else ENGINE_STOP_S,
        hangs=bool(process and facts.hung and process.pid == facts.hung.pid),
    )


def _seat(part: ReplicaPart, side: Side, facts: Facts) -> Seat | None:
    """The server line, if the gateway that runs has one with just this address. It says so itself, without a record."""
    server, port, address = part.gateway.servers[side], part.ports[side], part.address or LOOPBACK
    rows = (row for row in _servers(part, facts) if (row.server, row.port) == (server, port))
    return next((_seat_of(row) for row in rows if row.address in ("", address)), None)


def _servers(part: ReplicaPart, facts: Facts) -> Iterator[ServerRow]:
    """The servers of the gateway that runs; one that was started before it told their ports has those of its record."""
    gateway = facts.others.get(part.gateway.part)
    backends = gateway.part.backends if gateway and isinstance(gateway.part, GatewayPart) else ()
    recorded = {server.name: server.port for backend in backends for server in backend.servers}
    for row in facts.servers or ():
        yield row if row.port else replace(row, port=recorded.get(row.server, 0))


def _seat_of(row: ServerRow) -> Seat:
    return Seat(backend=row.backend, server=row.server)
