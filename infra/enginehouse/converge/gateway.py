"""The gateway part: HAProxy with its configuration, its keys, and the servers that take requests right now.

Every file takes effect by a reload; HAProxy itself starts again only when its program is gone or was never started.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import replace

import enginehouse.converge.certificates as certificates
import enginehouse.converge.claimed as claimed
import enginehouse.converge.containers as containers
import enginehouse.converge.engine_keys as engine_keys
import enginehouse.converge.scripts as scripts
import enginehouse.converge.servers as servers
from enginehouse.converge.configuration import configuration, shown
from enginehouse.converge.facts import Facts, Tool
from enginehouse.converge.host import version_of
from enginehouse.converge.manifest import Left
from enginehouse.converge.places import GATEWAY, NOTICES, Places, admin_socket, metrics_port_file, saved_servers
from enginehouse.converge.programs import (
    GREETING,
    PRIVATE,
    choose_tool,
    end_orphans,
    program_file,
    releases_on,
    start_script,
)
from enginehouse.converge.runners import STOP_APART_S
from enginehouse.converge.steps import (
    Activation,
    AwaitGateway,
    Effect,
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
    Undo,
    WaitIdle,
    WriteManifest,
    wrong_files,
)
from enginehouse.converge.wire import DRIFT
from enginehouse.errors import ConvergeFailed
from enginehouse.gateway import commands
from enginehouse.gateway.runtime import ServerState
from enginehouse.planner.parts import DOCKER, GatewayPart, OnChange
from enginehouse.render.symbols import Secret, fill


def steps(part: GatewayPart, facts: Facts, secrets: Mapping[str, Secret]) -> Steps:
    """What makes this configuration the one that is served. Raises `ConvergeFailed` if a port is somebody else's."""
    engine_keys.check_sent(part, facts)
    if engine_keys.sends(part) and not facts.engine_keys:
        return engine_keys.first(Places.of(part, facts.state), host=None)
    return _decide(part, facts, secrets)


def _decide(part: GatewayPart, facts: Facts, secrets: Mapping[str, Secret]) -> Steps:
    gateway = _Gateway(part, facts, secrets)
    stage = tuple(_stage(gateway))
    renewal = certificates.keep(part, gateway.places, facts, gateway.wrong)
    activate = (*_activate(gateway), *renewal, *_traffic(gateway), *_leftovers(gateway))
    effect, reason = _meaning(gateway, stage, activate)
    if not stage and not activate and facts.manifest and facts.manifest.records(part):
        return Steps(reason=f"configuration {gateway.id} is served")
    return Steps(stage=stage, activate=(*activate, *_close(gateway)), effect=effect, reason=reason)


def foreseen(part: GatewayPart, facts: Facts, secrets: Mapping[str, Secret]) -> Steps:
    """The steps once the host part has been brought: where HAProxy is missing, it says how it will come."""
    if facts.manifest is None and _program(part) not in facts.tools:
        return Steps(effect=Effect.START, reason="HAProxy starts with this configuration, once it is installed")
    return _decide(part, facts, secrets)


def _meaning(gateway: _Gateway, stage: tuple[Step, ...], activate: tuple[Step, ...]) -> tuple[Effect, str]:
    inner = [step for activation in activate if isinstance(activation, Activation) for step in activation.forward]
    if any(isinstance(step, StartProgram) for step in inner):
        if gateway.running:
            return Effect.RESTART_PAUSED, "another HAProxy starts; connections are refused until it listens"
        return Effect.START, "HAProxy starts with this configuration"
    if any(isinstance(step, Reload) for step in inner):
        return Effect.RELOAD, "HAProxy reads its configuration again; connections and requests go on"
    if activate:
        return Effect.TRAFFIC, f"HAProxy runs on; {', '.join(step.title for step in activate)}"
    if stage:
        return Effect.FILES, "files are put right; what runs is not touched"
    return Effect.RECORD, "HAProxy runs on as it is"


def leave(part: GatewayPart, facts: Facts) -> tuple[Step, ...]:
    """Stop what runs of the part; the folder is removed by the caller."""
    places = Places.of(part, facts.state)
    file = places.program_file(part.name)
    renewal = (certificates.leave(places),) if certificates.is_made(part) or certificates.runs_on(part, facts) else ()
    if facts.supervisor:
        return (*renewal, StopProgram(title="stopping the gateway", program=part.name, file=file))
    files = (file, *(step.file for step in renewal))
    return (*end_orphans(part, facts), Sh(title="forgetting the gateway", script=scripts.remove(*files)))


def differences(part: GatewayPart, facts: Facts) -> dict[str, object]:
    """Inputs that differ on the machine."""
    if not facts.running(f"{part.name}/{GATEWAY}"):
        return {"running": False}
    wrong = servers.faults(facts, servers.wanted(part, facts))
    drift: dict[str, object] = {}
    if wrong:
        drift["servers"] = {seat.server: fault for seat, fault in wrong.items()}
    if facts.manifest and facts.texts.get("current", "").strip() != f"releases/{facts.manifest.release}":
        drift["current"] = "points to another configuration"
    if wrong_key := engine_keys.difference(part, facts):
        drift["key of the engines"] = wrong_key
    if not _saved(facts):
        drift["server states"] = "not saved for the next start"
    drift |= certificates.differences(part, facts)
    return {DRIFT: drift} if drift else {}


class _Gateway:
    """A gateway part and the facts of its machine, seen together."""

    def __init__(self, part: GatewayPart, facts: Facts, secrets: Mapping[str, Secret]) -> None:
        self.part = part
        self.facts = facts
        self.places = Places.of(part, facts.state)
        staged = configuration(part, facts, secrets)
        self.id, self.release, self.served = staged.id, staged.name, staged.files
        self.folder = self.places.release(self.release)
        self.socket = admin_socket(self.places)
        self.tool = _tool(part, facts)
        symbols = {"state": facts.state, "part": self.places.part, "release": self.folder}
        self.start = self._start_script(symbols)
        self.program_file = _program_file(part, self.places)
        self.metrics_port = self._metrics_port()
        self.certificates = certificates.program(part, self.places)
        self.certificate_fault = certificates.fault(part, facts)
        self.claims = claimed.file(self.places, claimed.wanted(part))
        others = (*self.served, self.start, self.metrics_port, *self.certificates, self.program_file)
        self.files = (*others, self.claims)
        self.wrong = (*wrong_files(others, facts.files), *claimed.missing(self.claims, facts))
        self.of_what_serves = (self.metrics_port, self.claims)
        check = tuple(fill(word, symbols, {}) for word in commands.check(self.tool.path))
        self.check = containers.gateway_check(part, self.places, check) if part.image else shlex.join(check)
        self.secrets = secrets
        self.lacks_key = engine_keys.sends(part) and self.release not in facts.engine_maps

    @property
    def running(self) -> bool:
        """HAProxy runs and can be talked to; one that lost its socket has to be started again."""
        return self.facts.running(f"{self.part.name}/{GATEWAY}") is not None and "socket" in self.facts.texts

    def changed(self) -> frozenset[OnChange]:
        """What the files ask for that HAProxy has not read as they shall be, or that may have been read differently."""
        known = self.facts.manifest.files if self.facts.manifest else {}
        return frozenset(
            file.on_change
            for file, stored in zip(self.part.files, self.served, strict=True)
            if stored in self.wrong or known.get(self.places.inside(stored.path)) != stored.sha256
        )

    def switches(self) -> bool:
        """Whether HAProxy starts, or starts to serve another configuration than before."""
        changes = bool(self.changed() - {OnChange.NONE}) or bool(self.certificate_fault) or self.lacks_key
        return self.starts() or changes or not self.is_current()

    def starts(self) -> bool:
        """Whether HAProxy starts, or starts again: it takes another program for nothing less."""
        another = self.known is not None and self.known.image != self.part.image
        return not self.running or another or OnChange.RESTART in self.changed()

    @property
    def known(self) -> GatewayPart | None:
        """The part as it was converged last."""
        part = self.facts.manifest.part if self.facts.manifest else None
        return part if isinstance(part, GatewayPart) else None

    @property
    def current(self) -> str:
        """The release that HAProxy is told to read; empty if there is none."""
        return self.facts.texts.get("current", "").strip().removeprefix("releases/")

    def is_current(self) -> bool:
        return self.current == self.release

    def _start_script(self, symbols: Mapping[str, str]) -> Placed:
        command = [fill(word, symbols, {}) for word in commands.start(self.tool.path)]
        greeting = f"{GREETING}the gateway starts"
        if self.part.image:
            return containers.gateway_script(self.part, self.places, self.folder, command, greeting=greeting)
        mark = f"{self.part.stack}/{self.part.name}/{GATEWAY}"
        return start_script(self.folder, mark, greeting, command, {}, notices=True)

    def _metrics_port(self) -> Placed:
        return Placed(path=metrics_port_file(self.places), content=f"{self.part.metrics_port}\n", mode=PRIVATE)


def _program_file(part: GatewayPart, places: Places) -> Placed:
    return program_file(
        places,
        part.name,
        folder=f"{places.part}/current",
        side=GATEWAY,
        release="",
        stop_signal="TERM" if part.image else containers.SOFT_STOP,
        stop_s=STOP_APART_S if part.image else containers.SOFT_STOP_S,
        notices=places.log(NOTICES),
        ends_first=True,  # so that no engine is told to end while it still gets requests
    )


def _tool(part: GatewayPart, facts: Facts) -> Tool:
    def fits(tool: Tool) -> bool:
        return bool(version_of(tool.version))

    wanted = "Docker" if part.image else "HAProxy"
    return choose_tool(facts, _program(part), host=part.host, wanted=wanted, fits=fits)


def _program(part: GatewayPart) -> str:
    return DOCKER if part.image else "haproxy"


def _stage(gateway: _Gateway) -> Iterator[Step]:
    """All that is wrong but for what comes with the switch.

    Where it listens: until then probes ask the HAProxy that serves, and others may not take its ports. The supervisor's
    file, while nothing runs: supervisord reads none of its programs again while the folder of one's log is missing.
    """
    yield from certificates.make(gateway.part, gateway.places, gateway.facts)
    if gateway.part.image and gateway.starts():
        yield containers.bring(gateway.part, gateway.places, gateway.tool.path, gateway.secrets)
    later = {*(gateway.of_what_serves if gateway.switches() else ()), *gateway.certificates[-1:]}
    if gateway.starts():
        later.add(gateway.program_file)
    if files := tuple(file for file in gateway.wrong if file not in later):
        yield Place(title=f"staging configuration {gateway.id}", files=files)
    if gateway.lacks_key:
        yield engine_keys.send(gateway.places, gateway.folder)
    if gateway.lacks_key or set(gateway.wrong) & set(gateway.served):
        yield Sh(title="checking it with HAProxy", script=scripts.change(gateway.check))


def _activate(gateway: _Gateway) -> Iterator[Step]:
    """Start, start again or reload, whatever the changed files ask for."""
    if not gateway.switches():
        return
    _check_ports(gateway)
    if not gateway.starts():
        yield _reloaded(gateway)
    elif gateway.running and gateway.current and gateway.known:
        yield _exchanged(gateway, gateway.known)
    else:
        yield _started(gateway)
    if files := tuple(file for file in gateway.of_what_serves if file in gateway.wrong):
        yield Place(title="recording where it listens", files=files)


def _started(gateway: _Gateway) -> Activation:
    start, answers = _starting(gateway, gateway.program_file)
    stop = StopProgram(title="stopping HAProxy", program=gateway.part.name, file=gateway.program_file.path)
    forward = (_forget(gateway), _point(gateway, gateway.release), start, answers)
    back = (Undo(of=start, step=stop),)
    return Activation(title="starting the gateway", forward=forward, back=back, old_serves=False)


def _exchanged(gateway: _Gateway, before: GatewayPart) -> Activation:
    """Another HAProxy takes the place of the one that runs, and knows who has the traffic; or that one starts again."""
    save = _set(gateway, {}, "saving the server states", unsaved=servers.moved(gateway.part, gateway.facts))
    point = _point(gateway, gateway.release)
    start, answers = _starting(gateway, gateway.program_file)
    again = _starting(gateway, _program_file(before, gateway.places))
    back = (Undo(of=point, step=_point(gateway, gateway.current)), *(Undo(of=start, step=step) for step in again))
    return Activation(title="starting the gateway", forward=(save, point, start, answers), back=back, old_serves=True)


def _starting(gateway: _Gateway, file: Placed) -> tuple[StartProgram, AwaitGateway]:
    program = gateway.part.name
    folders = tuple(f"{gateway.places.part}/{name}" for name in ("log", "run"))
    start = StartProgram(title="starting HAProxy", program=program, file=file, folders=folders)
    return start, AwaitGateway(title="waiting for HAProxy", program=program, socket=gateway.socket)


def _reloaded(gateway: _Gateway) -> Activation:
    before = gateway.current
    reload = Reload(title="reloading HAProxy", program=gateway.part.name, socket=gateway.socket)
    save = _set(gateway, {}, "saving the server states", unsaved=servers.moved(gateway.part, gateway.facts))
    point = _point(gateway, gateway.release)
    back: tuple[Undo, ...] = ()
    if before:
        whole = _set(gateway, {}, "saving the server states")
        back = (Undo(of=save, step=whole), Undo(of=point, step=_point(gateway, before)), Undo(of=reload, step=reload))
    forward = (save, point, reload)
    return Activation(title="reloading the gateway", forward=forward, back=back, old_serves=True)


def _traffic(gateway: _Gateway) -> Iterator[Step]:
    """The servers' states: all of them where HAProxy has just started, else those that are wrong."""
    part, facts = gateway.part, gateway.facts
    unknown = not gateway.running or not gateway.is_current() or gateway.changed()
    wanted = servers.wanted(part, facts)
    if not unknown:
        wanted = {seat: wanted[seat] for seat in servers.faults(facts, wanted)}
    if wanted:
        yield _set(gateway, wanted, "giving traffic to the replicas that are ready")
    elif not _saved(facts):
        yield _set(gateway, {}, "saving the server states")


def _saved(facts: Facts) -> bool:
    """Whether HAProxy would find its servers' states at its next start; without them it gives traffic to none."""
    return "saved" in facts.texts


def _leftovers(gateway: _Gateway) -> Iterator[Step]:
    """Sides that served on until this configuration knew their successors."""
    places, facts = gateway.places, gateway.facts
    for manifest in facts.others.values():
        host = manifest.part.host
        there = replace(places, host=host, state=facts.elsewhere.get(host, facts.state))
        for left in manifest.left:
            if there != places or any(process.name == left.program for process in facts.processes):
                yield from _end(left, there, None if there == places else host)


def _end(left: Left, places: Places, host: str | None) -> Iterator[Step]:
    title, file = f"stopping {left.program}", places.program_file(left.program)
    waiting = f"waiting for {left.program} to finish"
    yield WaitIdle(title=waiting, host=host, port=left.port, within_s=left.drain_s)
    yield StopProgram(title=title, host=host, program=left.program, file=file)
    if left.folder:
        yield Sh(title="removing the folder of the former name", host=host, script=scripts.remove(left.folder))


def _close(gateway: _Gateway) -> Iterator[Step]:
    before = gateway.facts.manifest.release if gateway.facts.manifest else gateway.release
    kept = (gateway.release, before)
    # What only heals leaves the configuration from before where it is.
    if before != gateway.release and releases_on(gateway.facts, gateway.places) - set(kept):
        yield Sh(
            title="removing configurations before the last two", script=scripts.keep_releases(gateway.places, kept)
        )
    yield WriteManifest(
        title="recording the configuration",
        files=gateway.files,
        tools=gateway.tool.line(),
        release=gateway.release,
    )


def _check_ports(gateway: _Gateway) -> None:
    claimed.check(gateway.part, gateway.facts, claimed.wanted(gateway.part))
    ours = {process.pid for process in gateway.facts.processes}
    taken = [
        f"port {port} is taken by {listener}"
        for port, listener in gateway.facts.listeners.items()
        if listener.pid not in ours
    ]
    if taken:
        raise ConvergeFailed(f"{gateway.part.host}: the gateway can't listen", reasons=taken)


def _point(gateway: _Gateway, release: str) -> Sh:
    script = scripts.point(f"{gateway.places.part}/current", f"releases/{release}")
    return Sh(title=f"switching to configuration {shown(release)}", script=script)


def _forget(gateway: _Gateway) -> Sh:
    """Who had the traffic before may have ended since; and a saved state's ports would win over the configuration's."""
    return Sh(title="forgetting the servers' states", script=scripts.remove(saved_servers(gateway.places)))


def _set(
    gateway: _Gateway, wanted: Mapping[Seat, ServerState], title: str, *, unsaved: frozenset[str] = frozenset()
) -> SetServers:
    """Those to be drained are paused: they may be the last of their backend, and then their queue shall wait."""
    paused = tuple(seat for seat, state in wanted.items() if state is ServerState.DRAIN)
    return SetServers(
        title=title,
        socket=gateway.socket,
        saved=saved_servers(gateway.places),
        wanted={seat: state for seat, state in wanted.items() if state is not ServerState.DRAIN},
        paused=paused,
        unsaved=unsaved,
    )
