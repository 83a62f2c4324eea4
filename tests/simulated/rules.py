"""What must never happen on a machine, looked at after every single effect (design.md, sections 2 and 7)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from enginehouse.converge.manifest import Manifest, from_json
from enginehouse.converge.places import Places
from enginehouse.planner.parts import GatewayPart, ReplicaPart
from tests.simulated.haproxy import Server
from tests.simulated.machine import STATE, Machine, Watch
from tests.simulated.processes import Engine, Process, Stranger


class Violated(AssertionError):
    """Something happened that must never happen."""


class Rules(Watch):
    """Watches one stack on one machine. `disturbed` is set by whoever kills or edits something beside converge: then a
    manifest may be untrue and a replica missing, which is not converge's doing."""

    def __init__(self, machine: Machine, stack: str) -> None:
        self.machine = machine
        self.folder = f"{STATE}/{stack}"
        self.disturbed = False
        self.most_missing = 0
        """How many usable replicas a run may take away."""
        self._usable: frozenset[str] = frozenset()
        self._generations: dict[str, int] = {}
        self._others = self._of_others()
        machine.watch = self

    def begin(self, most_missing: int) -> None:
        """A run begins."""
        self.disturbed = False
        self.most_missing = most_missing
        self._usable = frozenset(self.usable())
        self._others = self._of_others()

    def usable(self) -> Iterator[str]:
        """Replicas that take requests and whose engine is there."""
        haproxy = self.machine.haproxy()
        for server in haproxy.config.servers if haproxy else ():
            if server.is_usable() and isinstance(self.machine.listener(server.port), Engine):
                yield _replica(server)

    def effect(self, what: str) -> None:
        self._check_traffic()
        self._check_others()
        self._check_generations()
        if not self.disturbed:
            self._check_missing(what)
            self._check_manifest(what)

    def stops(self, process: Process) -> None:
        haproxy = self.machine.haproxy()
        for server in haproxy.config.servers if haproxy else ():
            if server.is_usable() and server.port in process.ports():
                raise Violated(f"{process.mark} is stopped while its server takes requests")

    def gives_traffic(self, server: Server, engine: Process | None) -> None:
        if not (isinstance(engine, Engine) and (engine.proved or engine.again)):
            raise Violated(f"{server.name} gets the traffic, but its engine is not proved")
        if f"{self.folder}/{_replica(server)}/drained.json" in self.machine.files.files:
            raise Violated(f"{server.name} gets the traffic, but its replica is drained")

    def sends(self, server: Server, engine: Process | None) -> None:
        if isinstance(engine, Engine) and not (engine.proved or engine.again):
            raise Violated(f"a request is sent to {server.name}, whose engine is not proved")

    def _check_traffic(self) -> None:
        haproxy = self.machine.haproxy()
        for server in haproxy.config.servers if haproxy else ():
            if server.is_usable():
                self.sends(server, self.machine.listener(server.port))

    def _check_others(self) -> None:
        if self._of_others() != self._others:
            raise Violated("something of others was touched")

    def _check_missing(self, what: str) -> None:
        missing = self._usable - set(self.usable())
        if len(missing) > self.most_missing:
            raise Violated(f"{', '.join(sorted(missing))} can't be used, {self.most_missing} may be missing ({what})")

    def _check_generations(self) -> None:
        for name, manifest in self.manifests().items():
            if manifest.generation < self._generations.get(name, 0):
                raise Violated(f"the generation of {name} went from {self._generations[name]} to {manifest.generation}")
            self._generations[name] = manifest.generation
        there = self.machine.files.folders
        self._generations = {name: n for name, n in self._generations.items() if f"{self.folder}/{name}" in there}

    def _check_manifest(self, what: str) -> None:
        """When a manifest is placed, all that it promises is there."""
        if not what.endswith("/manifest.json is placed"):
            return
        name = what.rpartition("/manifest.json")[0].rpartition("/")[2]
        manifest = self.manifests()[name]
        for path, sha256 in manifest.files.items():
            entry = self.machine.files.find(f"{self.folder}/{path}")
            if entry is None or entry.sha256 != sha256:
                raise Violated(f"the manifest of {name} names {path}, which is not so")
        self._check_runs(manifest)

    def _check_runs(self, manifest: Manifest) -> None:
        part = manifest.part
        if isinstance(part, ReplicaPart):
            marks = {(e.mark, e.release): e for e in self.machine.engines()}
            engine = marks.get((f"{part.stack}/{part.name}/{manifest.side}", manifest.release))
            if engine is None or not engine.is_ready() or not (engine.proved or engine.again):
                raise Violated(f"the manifest of {part.name} names a release that does not run")
        if isinstance(part, GatewayPart):
            current = self.machine.files.links.get(f"{Places.of(part, STATE).part}/current")
            if current != f"releases/{manifest.release}" or self.machine.haproxy() is None:
                raise Violated("the gateway's manifest names a configuration that is not served")

    def manifests(self) -> dict[str, Manifest]:
        """Those that can be read, by part."""
        found = {}
        for path, entry in self.machine.files.files.items():
            if path.startswith(self.folder) and path.endswith("/manifest.json"):
                manifest = _parsed(entry.content)
                if isinstance(manifest, Manifest):
                    found[manifest.part.name] = manifest
        return found

    def _of_others(self) -> object:
        mine = (self.folder, f"{STATE}/host", f"{STATE}/weights")
        files = {p: e for p, e in self.machine.files.files.items() if not p.startswith(mine)}
        strangers = {p.pid for p in self.machine.processes.values() if isinstance(p, Stranger)}
        return {p: (e.content, e.inode) for p, e in files.items()}, strangers


@lru_cache(maxsize=4096)
def _parsed(text: str) -> object:
    """Manifests are looked at after each effect and rarely change."""
    return from_json(text)


def _replica(server: Server) -> str:
    return server.name.rpartition("-")[0]
