"""A machine in memory that steps can be carried out on, and that a probe's facts can be read from.

It knows what steps mean, not how they are done. It checks at every step what must never happen: a server that takes
requests although its engine is not ready or its replica is drained, an engine that is stopped while its server takes
requests.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from enginehouse.converge.facts import Facts, Process, Stored, Tool
from enginehouse.converge.manifest import Change, Manifest
from enginehouse.converge.places import GATEWAY, SUPERVISOR, Places
from enginehouse.converge.standing import Order
from enginehouse.converge.steps import (
    Activation,
    AwaitGateway,
    BecomeReady,
    Place,
    Placed,
    Reload,
    Seat,
    SetServers,
    Sh,
    StartProgram,
    Step,
    Steps,
    StopProgram,
    WaitIdle,
    WriteManifest,
)
from enginehouse.gateway.runtime import ServerState
from enginehouse.gateway.stats import ServerRow
from enginehouse.planner.parts import GatewayPart, Part, ReplicaPart, WeightsPart

STATE = "/s"
ENGINE = Tool(name="llama-server", path="/opt/llama-server", stat="1 1 1", version="version: 11434 (x)\n")
HAPROXY = Tool(name="haproxy", path="/opt/haproxy", stat="1 1 1", version="HAProxy version 2.8.25\n")
ORDER = Order(run="run-0", who="ada@desk", door="test", at="2026-11-24T12:00:00+00:00", reason="a test")
CHANGE = Change(run="run-0", who="ada@desk", door="test", at="2026-11-24T12:00:00+00:00")


class Violated(AssertionError):
    """Something happened that must never happen."""


@dataclass
class Program:
    mark: str
    release: str
    ready: bool = False


@dataclass
class Machine:
    """`servers` is None while no gateway runs."""

    stack: str
    memory_mib: int = 100_000
    files: dict[str, Stored] = field(default_factory=dict)
    programs: dict[str, Program] = field(default_factory=dict)
    manifests: dict[str, Manifest] = field(default_factory=dict)
    servers: dict[Seat, ServerState] | None = None
    sides: dict[Seat, str] = field(default_factory=dict)
    """Which program a server line leads to."""
    saved: bool = False
    """Whether the servers' states are saved for the gateway's next start."""
    current: str = ""
    lacks: frozenset[str] = frozenset()
    """Weights, by SHA-256, that have not been brought yet."""
    drained: set[str] = field(default_factory=set)
    """Names of the replicas that shall get no requests."""

    def carry_out(self, part: Part, steps: Iterable[Step]) -> None:
        for step in steps:
            self.do(part, step)

    def do(self, part: Part, step: Step) -> None:
        places = Places.of(part, STATE)
        match step:
            case Activation():
                self.carry_out(part, step.forward)
            case Place():
                self._put(*step.files)
            case StartProgram():
                self._start(step)
            case StopProgram():
                self._stop(step)
            case BecomeReady():
                self.programs[step.program].ready = True
            case SetServers():
                self._set(step)
            case WriteManifest():
                self.manifests[part.name] = self._manifest(part, places, step)
            case Sh() if step.title.startswith("switching to configuration "):
                self.current = f"releases/{step.title.rpartition(' ')[2]}"
            case Sh() if step.title.startswith("removing releases"):
                self._keep_last_release(places)
            case Sh() | WaitIdle() | AwaitGateway() | Reload():
                pass
            case _:
                raise AssertionError(f"the machine does not know {step}")

    def facts(self, part: Part) -> Facts:
        others = {name: manifest for name, manifest in self.manifests.items() if name != part.name}
        texts = {"current": self.current}
        weights = getattr(part, "sha256" if isinstance(part, WeightsPart) else "weights", "")
        if weights not in self.lacks:
            texts |= {"weights": "9 9 9", "stat": "9 9 9", "verified": f"{weights} 9 9 9"}
        if self.servers is not None:
            texts["socket"] = "yes"
        if self.saved:
            texts["saved"] = "yes"
        return Facts(
            state=STATE,
            machine="m",
            memory_mib=self.memory_mib,
            manifest=self.manifests.get(part.name),
            others=others,
            drained=ORDER if part.name in self.drained else None,
            drained_others={name: ORDER for name in self.drained if name != part.name},
            files=dict(self.files),
            processes=tuple(self._processes()),
            health=dict(self._health(part)),
            servers=None if self.servers is None else tuple(_row(s, state) for s, state in self.servers.items()),
            tools={tool.name: tool for tool in (ENGINE, HAPROXY)},
            texts=texts,
        )

    def _put(self, *files: Placed) -> None:
        for file in files:
            self.files[file.path] = Stored(sha256=file.sha256, mode=file.mode)

    def _start(self, step: StartProgram) -> None:
        self._put(step.file)
        found = re.search(r'ENGINEHOUSE_PROGRAM="[^/]*/(.*?)",ENGINEHOUSE_RELEASE="(.*?)"', step.file.content)
        assert found
        self.programs[step.program] = Program(mark=found[1], release=found[2])
        if found[1].endswith(f"/{GATEWAY}"):
            self.servers = dict.fromkeys(self.sides, ServerState.MAINT)

    def _stop(self, step: StopProgram) -> None:
        for seat, state in (self.servers or {}).items():
            if self.sides[seat] == step.program and state is ServerState.READY:
                raise Violated(f"{step.program} is stopped while its server takes requests")
        self.programs.pop(step.program, None)
        self.files.pop(step.file, None)

    def _set(self, step: SetServers) -> None:
        if self.servers is None:
            raise Violated("there is no gateway to talk to")
        for seat, state in step.wanted.items():
            program = self.programs.get(self.sides[seat])
            if state is ServerState.READY and not (program and program.ready):
                raise Violated(f"{seat.server} takes requests, but its engine is not ready")
            if state is ServerState.READY and self.sides[seat].rpartition("-")[0] in self.drained:
                raise Violated(f"{seat.server} takes requests, but its replica is drained")
            self.servers[seat] = state
        self.servers |= dict.fromkeys(step.paused, ServerState.DRAIN)
        self.saved = True

    def _manifest(self, part: Part, places: Places, step: WriteManifest) -> Manifest:
        before = self.manifests.get(part.name)
        return Manifest(
            part=part,
            generation=before.generation + 1 if before else 1,
            machine="m",
            change=CHANGE,
            files={places.inside(file.path): file.sha256 for file in step.files},
            release=step.release,
            side=step.side,
            left=step.left,
        )

    def _keep_last_release(self, places: Places) -> None:
        """Fewer than the real one keeps: what runs must not need more."""
        needed = {f"{p.release}-{p.mark.rpartition('/')[2]}" for p in self.programs.values()}
        start = places.release("")
        gone = [
            path for path in self.files if path.startswith(start) and path[len(start) :].split("/")[0] not in needed
        ]
        for path in gone:
            del self.files[path]

    def _processes(self) -> Iterator[Process]:
        yield Process(pid=1, parent=0, age_s=1, program=f"box/{SUPERVISOR}", release="")
        for number, program in enumerate(self.programs.values()):
            yield Process(pid=10 + number, parent=1, age_s=1, program=program.mark, release=program.release)

    def _health(self, part: Part) -> Iterator[tuple[int, int]]:
        for name, program in self.programs.items():
            if isinstance(part, ReplicaPart) and name.startswith(f"{part.name}-"):
                yield part.ports[name.rpartition("-")[2]], 200 if program.ready else 503


def lines_of(part: GatewayPart) -> dict[Seat, str]:
    """Every server line of the gateway with the program it leads to."""
    return {
        Seat(backend=backend.name, server=server.name): f"{server.replica}-{server.side}"
        for backend in part.backends
        for server in backend.servers
    }


def all_steps(steps: Steps) -> tuple[Step, ...]:
    """In the order they are carried out, activations opened."""
    flat: list[Step] = []
    for step in steps.all():
        flat += step.forward if isinstance(step, Activation) else (step,)
    return tuple(flat)


def _row(seat: Seat, state: ServerState) -> ServerRow:
    status = {ServerState.READY: "UP", ServerState.DRAIN: "DRAIN", ServerState.MAINT: "MAINT"}[state]
    return ServerRow(
        backend=seat.backend, server=seat.server, status=status, sessions=0, queued=0, check="L7OK", since_s=1
    )
