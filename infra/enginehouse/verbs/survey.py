"""Looks at every part of a plan where it runs; changes nothing and needs no secret."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import replace
from datetime import timedelta

from enginehouse.connectors.base import Connector
from enginehouse.converge import Context, Observed, as_inputs, observe
from enginehouse.converge.ask import ask
from enginehouse.converge.endpoint import as_it_is
from enginehouse.converge.look import look
from enginehouse.converge.proof import shown_by
from enginehouse.converge.reach import reach
from enginehouse.errors import EnginehouseError, Unreachable, explain
from enginehouse.planner.addresses import host_and_port
from enginehouse.planner.codec import kind_of
from enginehouse.planner.parts import EndpointPart, GatewayPart, HostPart, Part, Plan, ReplicaPart, WeightsPart
from enginehouse.report.differences import differences
from enginehouse.report.status import Certificate, PartStatus, StackStatus, State
from enginehouse.verbs.traffic import Traffic, traffic

HOST, GATEWAY = "host", "gateway"
RUNNING = "running"
"""The input that says of a part with a process whether it runs; a state of its own here."""
ANSWER_S = 10.0
"""For answers that need no engine."""


def survey(plan: Plan, context: Context, pool: Executor) -> StackStatus:
    """Every part as it is right now, asked all at once. A machine that can't be asked is a result, not an error."""
    asked = {gateway.host: pool.submit(_traffic, gateway, context) for gateway in plan.gateways}
    parts = tuple(_out_of_reach(tuple(pool.map(lambda part: _look(part, context), plan.parts()))))
    there = {status.host for status in parts if status.kind == GATEWAY and status.state is not State.MISSING}
    seen = {host: answer.result() if host in there else None for host, answer in asked.items()}
    return StackStatus(stack=plan.stack, parts=tuple(_with_traffic(plan, parts, seen, context)))


def _out_of_reach(parts: tuple[PartStatus, ...]) -> Iterator[PartStatus]:
    """Where the machine itself can't be asked, an endpoint that does not answer there may be as it should be."""
    silent = {status.host for status in parts if status.kind == HOST and status.state is State.UNREACHABLE}
    for status in parts:
        lost = status.state is State.MISSING and status.host in silent
        yield replace(status, state=State.UNREACHABLE) if lost else status


def _look(part: Part, context: Context) -> PartStatus:
    try:
        if isinstance(part, EndpointPart):
            return _endpoint(part, context)
        observed = observe(part, context)
        return replace(_observed(part, observed), certificate=_certificate(observed, context))
    except EnginehouseError as error:
        return _status(part, State.UNREACHABLE, *explain(error))


def _observed(part: Part, observed: Observed | None) -> PartStatus:
    if observed is None:
        return _status(part, State.MISSING)
    planned = as_inputs(part)
    unlike = tuple(differences({**observed.inputs, RUNNING: planned.get(RUNNING)}, planned))
    status = _status(part, _state(part, observed, bool(unlike)), *observed.reasons, *unlike)
    since = observed.outputs.get("changed_at")
    return replace(status, since=since, drained=observed.drained, frozen=observed.frozen, hangs=observed.hangs)


def _certificate(observed: Observed | None, context: Context) -> Certificate | None:
    ends = observed.certificate_ends if observed else None
    return Certificate(ends=ends.isoformat(), days=(ends - context.clock.now()).days) if ends else None


def _state(part: Part, observed: Observed, differs: bool) -> State:
    if observed.inputs.get(RUNNING) is False:
        return State.STOPPED
    if observed.reasons:
        return State.UNHEALTHY
    if differs:
        return State.DIFFERS
    if observed.drained:
        return State.DRAINED
    return State.READY if isinstance(part, HostPart | WeightsPart) else State.SERVING


def _endpoint(part: EndpointPart, context: Context) -> PartStatus:
    """What can be seen without a key: it answers, is ready, and refuses whoever has none."""
    try:
        connector = context.connect(part)
        if part.seal and part.seal.anchor is None:
            part = as_it_is(part, look(part, context))
        wrong = tuple(_answers(part, connector))
    except Unreachable as error:
        return _status(part, State.MISSING, str(error))
    return _status(part, State.UNHEALTHY if wrong else State.SERVING, *wrong)


def _answers(part: EndpointPart, connector: Connector) -> Iterator[str]:
    for path, expected in (("/health", 200), ("/v1/models", 200 if part.public else 401)):
        status = ask(
            reach(part, connector), part.address, "GET", path, shown=shown_by(part), deadline_s=ANSWER_S
        ).status
        if status != expected:
            yield f"GET {path} without a key: expected {expected}, got {status}"


def _status(part: Part, state: State, *reasons: str) -> PartStatus:
    return PartStatus(
        kind=kind_of(part),
        part=part.name,
        host=part.host,
        state=state,
        reasons=reasons,
        deployment=part.deployment if isinstance(part, ReplicaPart) else None,
        address=_address(part),
    )


def _address(part: Part) -> str | None:
    match part:
        case GatewayPart():
            return host_and_port(part.address, part.port)
        case EndpointPart():
            return part.url
        case _:
            return None


def _traffic(gateway: GatewayPart, context: Context) -> Traffic | None:
    """None if there is no gateway to ask; its own part says why."""
    try:
        return traffic(gateway, context.connect(gateway))
    except EnginehouseError:
        return None


def _with_traffic(
    plan: Plan, parts: tuple[PartStatus, ...], seen: Mapping[str, Traffic | None], context: Context
) -> Iterator[PartStatus]:
    """Numbers beside states. `seen`: at the gateway of each host; where ours is missing, another stack's may answer."""
    for part, status in zip(plan.parts(), parts, strict=True):
        if isinstance(part, ReplicaPart) and (there := seen[part.gateway.host]):
            yield replace(status, load=there.load(part), since=_moment(there.usable_for_s(part), context))
        elif isinstance(part, GatewayPart) and (there := seen[part.host]):
            yield replace(status, load=there.total())
        else:
            yield status


def _moment(ago_s: int | None, context: Context) -> str | None:
    if ago_s is None:
        return None
    return (context.clock.now() - timedelta(seconds=ago_s)).isoformat(timespec="seconds")
