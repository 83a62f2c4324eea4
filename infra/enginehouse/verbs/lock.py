"""`enginehouse lock`: writes down which ports and GPUs a stack has, so that no later edit moves them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from enginehouse.converge import Context, recorded
from enginehouse.errors import EnginehouseError, ExitCode
from enginehouse.planner.allocate import allocate
from enginehouse.planner.parts import GatewayPart, Plan, ReplicaPart, Scope
from enginehouse.planner.plan import plan
from enginehouse.report.lines import Line, line
from enginehouse.report.lock import lock_changes
from enginehouse.spec import lock_path
from enginehouse.spec.lock import NOTHING_LOCKED, Lock, LockedHost, LockedPorts, LockedReplica, lock_text, locked
from enginehouse.verbs import Answer
from enginehouse.verbs.files import replace
from enginehouse.verbs.machines import AT_ONCE, looking
from enginehouse.verbs.stacks import valid_stack


class NotAsked(EnginehouseError):
    """It is not known which ports are in use on a machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Ports in use on the machines. Where two replicas hold the same ones, after a run that failed half-way, those
    come first that the gateway sends requests to."""

    served: Lock = NOTHING_LOCKED
    all: Lock = NOTHING_LOCKED


def lock(stack: str, *, offline: bool, check: bool, progress: Callable[[str], None]) -> Answer:
    """Write the stack's lock file and say what changed in it; `check` only looks, code `DIFFERS` if it would change.

    Ports that a machine has in use come first, then those of the lock file, then those that the plan gives.
    Raises `SpecError` for a stack or a lock file that can't be used, `NotAsked` for a machine that does not answer.
    """
    found = valid_stack(stack)
    held = Held() if offline else _ask(stack, plan(found.spec, found.lock), progress)
    wanted = allocate(found.spec, held.served, held.all, found.lock).lock()
    path, text = lock_path(found.path), lock_text(wanted, found.spec.name)
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return Answer(lines=(line(f"{path}: nothing to change"),))
    changes = lock_changes(found.lock, wanted, held.all)
    if check:
        return Answer(lines=(*_title(path, "would be written", changes), *changes), code=ExitCode.DIFFERS)
    replace(path, text)
    return Answer(lines=(*_title(path, "written", changes), *changes))


def held_ports(made: Plan, context: Context) -> Held:
    """The ports that each replica and the gateway have on their machines, by what those remember.

    Raises `NotAsked` if one of them can't be asked.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        parts = (*made.replicas, *made.gateways)
        known = tuple(pool.map(lambda part: _part(part, context), parts))
    gateways = {part.host: part for part in known if isinstance(part, GatewayPart)}
    replicas = [part for part in known if isinstance(part, ReplicaPart)]
    hosts = list(dict.fromkeys(part.host for part in (*made.gateways, *made.replicas)))
    served = [part for part in replicas if set(_sides(part)) <= set(_servers(gateways.get(part.gateway.host)))]
    return Held(served=_lock(made.scope, hosts, served, {}), all=_lock(made.scope, hosts, replicas, gateways))


def _ask(stack: str, made: Plan, progress: Callable[[str], None]) -> Held:
    hosts = ", ".join(host.name for host in made.hosts)
    progress(f"{made.stack}: asking {hosts} which ports are in use")
    with looking("lock", progress, stack) as context:
        return held_ports(made, context)


def _part(part: ReplicaPart | GatewayPart, context: Context) -> object:
    """The part as it was last brought to its machine; None if it never was."""
    try:
        manifest = recorded(part, context)
    except EnginehouseError as error:
        raise NotAsked(
            f"it is not known which ports {part.name} has in use on {part.host}; "
            f"`--offline` goes by the plan and the lock file alone"
        ) from error
    return manifest.part if manifest else None


def _servers(gateway: GatewayPart | None) -> Iterator[tuple[str, str, int]]:
    """Replica, side and port of each server line."""
    for backend in gateway.backends if gateway else ():
        yield from ((server.replica, server.side.value, server.port) for server in backend.servers)


def _sides(part: ReplicaPart) -> Iterator[tuple[str, str, int]]:
    yield from ((part.name, side, port) for side, port in part.ports.items())


def _lock(
    scope: Scope, hosts: Sequence[str], replicas: Sequence[ReplicaPart], gateways: Mapping[str, GatewayPart]
) -> Lock:
    entries = {host: {part.name: _replica(part) for part in replicas if part.host == host} for host in hosts}
    metrics = {host: gateway.metrics_port for host, gateway in gateways.items()}
    return locked({h: LockedHost(metrics_port=metrics.get(h), replicas=entries[h]) for h in hosts}, scope)


def _replica(part: ReplicaPart) -> LockedReplica:
    return LockedReplica(ports=LockedPorts(**part.ports), gpus=part.gpus.devices if part.gpus else ())


def _title(path: Path, what: str, changes: tuple[Line, ...]) -> tuple[Line, ...]:
    return (line(f"{path}: {what}" + (":" if changes else ", the same ports in other words")),)
