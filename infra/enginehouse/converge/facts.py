"""What is on a machine: the probe's answer, parsed. Pure; a key that is absent means the thing is absent."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from enginehouse.converge.hangs import Hangs, Hung, hangs, hung
from enginehouse.converge.manifest import Damaged, Manifest, from_json
from enginehouse.converge.owner import Owner
from enginehouse.converge.owner import from_json as owner_from_json
from enginehouse.converge.places import CONTAINER, SUPERVISOR, UNIT
from enginehouse.converge.standing import Order
from enginehouse.converge.standing import from_json as order_from_json
from enginehouse.gateway.stats import ServerRow, parse_stats
from enginehouse.inventory.answers import BadProbe, Values
from enginehouse.inventory.claims import Claimed, claims


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A running program of the stack. `program` is its mark without the stack, such as `chat-box-0/a`."""

    pid: int
    parent: int
    age_s: int
    program: str
    release: str

    @property
    def starter(self) -> str | None:
        """The program that started it, of what runs in a container or a unit of its own; None of all else."""
        return next((self.program.removesuffix(end) for end in (CONTAINER, UNIT) if self.program.endswith(end)), None)

    @property
    def name(self) -> str:
        """As its supervisor calls it."""
        return self.program.replace("/", "-")

    def belongs_to(self, program: str) -> bool:
        """Whether it is that program, or in its container or unit."""
        return program in (self.program, self.starter)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """An executable: resolved path, what its stat says, and what it answered when asked for its version."""

    name: str
    path: str
    stat: str
    version: str

    def line(self) -> str:
        """As the probe's cache of known tools keeps it."""
        return "\t".join((self.name, self.path, self.stat, base64.b64encode(self.version.encode()).decode())) + "\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A placed file: SHA-256 and permission bits."""

    sha256: str
    mode: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Who listens on a port. `pid` is None when it belongs to somebody whose processes we may not look into."""

    port: int
    pid: int | None
    command: str

    def __str__(self) -> str:
        return f"{self.command} (process {self.pid})" if self.pid else "a process of another user"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One machine as one part's probe saw it, a moment ago."""

    state: str
    machine: str | None
    memory_mib: int
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    """The state folder on each other machine that the part works with and that answered."""
    away: Mapping[str, str] = field(default_factory=dict)
    """Why the others did not."""
    disk_mib: int | None = None
    """What we may still write where the state folder is."""
    read_only: bool = False
    """Whether we may not write there at all."""
    manifest: Manifest | None = None
    damaged: Damaged | None = None
    former: Manifest | None = None
    """The manifest under the part's former name, if it was renamed and has not moved yet."""
    moves: bool = False
    """Whether anything is left under the former name, with or without a manifest."""
    others: Mapping[str, Manifest] = field(default_factory=dict)
    """Manifests of other parts that this one depends on, by part name."""
    newest_generation: int = 0
    """Of the part's history; what is left to count from where the manifest was lost."""
    owner: Owner | None = None
    """Whose the stack is, if somebody claimed it."""
    frozen: Order | None = None
    drained: Order | None = None
    """Replica only, also if it was given under the former name."""
    drained_others: Mapping[str, Order] = field(default_factory=dict)
    """Drained replicas that this part depends on or stands beside, by part name."""
    unknown_others: Mapping[str, str] = field(default_factory=dict)
    """Other replicas that get no requests, and why their machine can't be asked whether they are drained, by name."""
    hung: Hung | None = None
    """Replica only: its engine hangs, as the watchdog says."""
    hangs: Hangs | None = None
    engine_keys: str | None = None
    """Digest of the keys that engines on other machines than their gateway accept, as its machine has them."""
    engine_maps: frozenset[str] = frozenset()
    """Gateway only: its releases that send the first of them."""
    hung_others: Mapping[str, Hung] = field(default_factory=dict)
    """Replicas that this part depends on and whose engine hangs, by part name."""
    claims: tuple[Claimed, ...] = ()
    """Of all parts of all stacks in this state folder, its own included."""
    files: Mapping[str, Stored] = field(default_factory=dict)
    """Absolute path to what is stored there."""
    processes: tuple[Process, ...] = ()
    listeners: Mapping[int, Listener] = field(default_factory=dict)
    health: Mapping[int, int] = field(default_factory=dict)
    """Port to HTTP status; 0 when nothing answers. Other parts' ports may be among them."""
    servers: tuple[ServerRow, ...] | None = None
    """The gateway's servers; None when no gateway answers."""
    tools: Mapping[str, Tool] = field(default_factory=dict)
    """Found on the PATH."""
    kept_tools: Mapping[str, Tool] = field(default_factory=dict)
    """Used before, and still exactly the same file."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """Whatever else a kind's probe reports, by key."""

    @property
    def supervisor(self) -> int | None:
        """Process id of the stack's supervisor on this machine.

        Not of a child that it has only forked yet: such a one has its mark until it becomes the program to be started.
        """
        found = {p.pid: p.parent for p in self.processes if p.program.endswith(f"/{SUPERVISOR}")}
        return next((pid for pid, parent in found.items() if parent not in found), None)

    def running(self, program: str) -> Process | None:
        """The supervised process with that mark; one whose supervisor is gone does not count."""
        return next((p for p in self.processes if p.program == program and p.parent == self.supervisor), None)

    def orphans(self) -> tuple[Process, ...]:
        """Programs of the stack that no living supervisor looks after, except the supervisor itself.

        What is in a container or a unit of its own is no child of ours: its start script looks after it.
        """
        ours = {p.pid for p in self.processes}
        lost = (p for p in self.processes if p.pid != self.supervisor and p.parent not in ours)
        return tuple(p for p in lost if not (p.starter and self.running(p.starter)))


def parse(values: Values, stack: str) -> Facts:
    """What a machine answered to a part's questions, as facts. Raises `BadProbe` if it is no answer."""
    if "state" not in values:
        raise BadProbe("the probe's answer names no state folder")
    if "memory_mib" not in values:
        raise BadProbe("the machine has no /proc/meminfo: only Linux is supported")
    manifest = _manifest(values.get("manifest"))
    former = _manifest(values.get("former"))
    others = {name: _manifest(value) for name, value in _of_others("manifest", values)}
    drained = _order(values.get("drained")) or _order(values.get("former_drained"))
    return Facts(
        state=values["state"],
        machine=values.get("machine", "").strip()[:32] or None,
        memory_mib=int(values["memory_mib"]),
        disk_mib=int(values["disk_mib"]) if "disk_mib" in values else None,
        read_only="read_only" in values,
        manifest=manifest if isinstance(manifest, Manifest) else None,
        damaged=manifest if isinstance(manifest, Damaged) else None,
        former=former if isinstance(former, Manifest) else None,
        moves="former_folder" in values,
        others={name: found for name, found in others.items() if isinstance(found, Manifest)},
        newest_generation=int(values.get("newest_generation", "").strip() or 0),
        owner=owner_from_json(values["owner"]) if "owner" in values else None,
        frozen=_order(values.get("frozen")),
        drained=drained,
        drained_others={name: order_from_json(value) for name, value in _of_others("drained", values)},
        hung=hung(values.get("hung")),
        hangs=hangs(values.get("hangs")),
        hung_others={name: found for name, value in _of_others("hung", values) if (found := hung(value))},
        engine_keys=values.get("engine_keys", "")[:64] or None,
        engine_maps=frozenset(values.get("engine_maps", "").splitlines()),
        claims=claims(values.get("claims", "")),
        files=dict(_files(values.get("files", ""))),
        processes=tuple(_processes(values.get("processes", ""), stack)),
        listeners={found.port: found for found in _listeners(values.get("listeners", ""))},
        health=dict(_health(values.get("health", ""))),
        servers=parse_stats(values["stats"]) if values.get("stats", "").startswith("# pxname") else None,
        tools={t.name: t for key, value in values.items() if key.startswith("tool.") for t in _tools(value)},
        kept_tools={tool.name: tool for tool in _tools(values.get("kept_tools", ""))},
        texts=values,
    )


def _manifest(text: str | None) -> Manifest | Damaged | None:
    return None if text is None else from_json(text)


def _of_others(key: str, values: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Part name and text of each `key.NAME`."""
    yield from ((name.partition(".")[2], value) for name, value in values.items() if name.startswith(f"{key}."))


def _order(text: str | None) -> Order | None:
    return None if text is None else order_from_json(text)


def _files(text: str) -> Iterator[tuple[str, Stored]]:
    """Files that vanished between the two looks at them are left out."""
    lines = text.splitlines()
    modes = (line.split(" ", 2) for line in lines if line.startswith("mode "))
    bits = {path: int(mode, 8) for _, mode, path in modes}
    for line in (line for line in lines if not line.startswith("mode ")):
        digest, path = line.split("  ", 1)
        if path in bits:
            yield path, Stored(sha256=digest, mode=bits[path])


def _processes(text: str, stack: str) -> Iterator[Process]:
    for line in text.splitlines():
        pid, parent, age_s, program, release = line.split("\t")
        mark = program.removeprefix(f"{stack}/")
        yield Process(pid=int(pid), parent=int(parent), age_s=int(age_s), program=mark, release=release)


def _listeners(text: str) -> Iterator[Listener]:
    for line in text.splitlines():
        port, pid, command = line.split("\t")
        yield Listener(port=int(port), pid=int(pid) if pid else None, command=command)


def _health(text: str) -> Iterator[tuple[int, int]]:
    for line in text.splitlines():
        address, status = line.split()
        yield int(urlsplit(address).port or 0), int(status)


def _tools(text: str) -> Iterator[Tool]:
    for line in text.splitlines():
        name, path, stat, version = line.split("\t")
        yield Tool(name=name, path=path, stat=stat, version=base64.b64decode(version).decode(errors="replace"))
