"""What is seen of each part becomes its state and its reasons; nothing that can go wrong while looking is an error."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from enginehouse.connectors import Connectors
from enginehouse.connectors.fake import FakeConnector
from enginehouse.converge import Context, Observed, Run, SystemClock, as_inputs
from enginehouse.errors import EnginehouseError, Unreachable
from enginehouse.planner.parts import ConnectionKind, Part, Plan
from enginehouse.report.status import Load, PartStatus, StackStatus, State
from enginehouse.verbs import survey as module
from enginehouse.verbs.survey import survey
from tests.unit.report.plans import ENDPOINT, GATEWAY, PLAN, REPLICA
from tests.unit.verbs.test_traffic import STATS

Seen = Callable[[Part], Observed | None]
Api = Callable[[socket.socket], None] | Exception
API, METRICS = "tcp:127.0.0.1:8080", "tcp:127.0.0.1:20000"


class Noon(SystemClock):
    """A clock that stands still."""

    def now(self) -> datetime:
        return datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


def answers(**statuses: int) -> Callable[[socket.socket], None]:
    """An HTTP server with a status for each path; the last part of the path names it."""

    def serve(connection: socket.socket) -> None:
        path = connection.recv(65536).split()[1].decode()
        body = STATS if path == "/stats;csv" else ""
        status = 200 if path == "/stats;csv" else statuses[path.rpartition("/")[2]]
        connection.sendall(
            f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()
        )

    return serve


REFUSES = answers(health=200, models=401)
STATISTICS = answers()


def as_planned(part: Part) -> Observed:
    return Observed(inputs=as_inputs(part), outputs={"changed_at": "2026-11-24T09:00:00+00:00"}, reasons=())


def looked(
    monkeypatch: pytest.MonkeyPatch,
    seen: Mapping[str, Observed | EnginehouseError | None] | None = None,
    *,
    plan: Plan = PLAN,
    api: Api = REFUSES,
    metrics: Api = STATISTICS,
) -> StackStatus:
    """A survey in which parts are as planned, except those in `seen`."""

    def observe(part: Part, context: Context) -> Observed | None:
        assert context.secrets == {}
        found = (seen or {}).get(part.name, as_planned(part))
        if isinstance(found, EnginehouseError):
            raise found
        return found

    monkeypatch.setattr(module, "observe", observe)
    machine = FakeConnector("box")
    machine.listen(API, api)
    machine.listen(METRICS, metrics)
    connectors = Connectors({ConnectionKind.LOCAL: lambda host, connection: machine})
    run = Run(id="1", who="ada@desk", door="status")
    context = Context(run=run, connectors=connectors, listen=lambda event: None, uploads_from=Path(), clock=Noon())
    with ThreadPoolExecutor(4) as pool:
        return survey(plan, context, pool)


def part_of(status: StackStatus, name: str) -> PartStatus:
    return next(part for part in status.parts if part.part == name)


def test_a_stack_as_planned_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    """All parts in the plan's order, without a secret."""
    status = looked(monkeypatch)
    assert status.ok()
    assert [part.part for part in status.parts] == [part.name for part in PLAN.parts()]
    ready, serving = State.READY, State.SERVING
    assert [part.state for part in status.parts] == [ready, ready, serving, serving, serving]


def test_load_and_time_come_from_the_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    """The side that took over 500 s ago counts, not when the files were written."""
    status = looked(monkeypatch)
    replica, gateway = part_of(status, REPLICA.name), part_of(status, GATEWAY.name)
    assert (replica.load, replica.since) == (Load(running=3, queued=5), "2026-11-24T11:51:40+00:00")
    assert (gateway.load, gateway.since) == (Load(running=5, queued=5), "2026-11-24T09:00:00+00:00")


@pytest.mark.parametrize(
    ("found", "state", "reasons"),
    [
        (None, State.MISSING, ()),
        (Unreachable("box: no route"), State.UNREACHABLE, ("box: no route",)),
        (
            Observed(inputs=as_inputs(replace(REPLICA, env={})), outputs={}, reasons=("it is slow", "[/x] log")),
            State.UNHEALTHY,
            ("it is slow", "[/x] log", 'env.LLAMA_LOG is not set, the plan says "it\'s on"'),
        ),
        (
            Observed(inputs={**as_inputs(REPLICA), "running": False}, outputs={}, reasons=("it exited",)),
            State.STOPPED,
            ("it exited",),
        ),
        (
            as_planned(replace(REPLICA, args={**REPLICA.args, "ctx-size": "2048", "mlock": True})),
            State.DIFFERS,
            ('args.ctx-size is "2048", the plan says "4096"', "args.mlock is true, the plan does not set it"),
        ),
        (
            as_planned(replace(REPLICA, env={})),
            State.DIFFERS,
            ('env.LLAMA_LOG is not set, the plan says "it\'s on"',),
        ),
    ],
)
def test_states_and_reasons(
    monkeypatch: pytest.MonkeyPatch,
    found: Observed | EnginehouseError | None,
    state: State,
    reasons: tuple[str, ...],
) -> None:
    status = looked(monkeypatch, {REPLICA.name: found})
    replica = part_of(status, REPLICA.name)
    assert (replica.state, replica.reasons) == (state, reasons)
    assert not status.ok()


@pytest.mark.parametrize(
    ("public", "api", "state", "reasons"),
    [
        (False, REFUSES, State.SERVING, ()),
        (True, answers(health=200, models=200), State.SERVING, ()),
        (
            False,
            answers(health=503, models=200),
            State.UNHEALTHY,
            (
                "GET /health without a key: expected 200, got 503",
                "GET /v1/models without a key: expected 401, got 200",
            ),
        ),
        (False, Unreachable("nothing answers"), State.MISSING, ("nothing answers",)),
    ],
)
def test_the_endpoint_is_judged_by_what_can_be_seen_without_a_key(
    monkeypatch: pytest.MonkeyPatch,
    public: bool,
    api: Api,
    state: State,
    reasons: tuple[str, ...],
) -> None:
    """An endpoint that lets in whoever has no key is as wrong as one that is down."""
    plan = replace(PLAN, endpoints=(replace(ENDPOINT, public=public),))
    endpoint = part_of(looked(monkeypatch, plan=plan, api=api), "endpoint")
    assert (endpoint.state, endpoint.reasons) == (state, reasons)


def test_the_endpoint_of_a_machine_that_does_not_answer_is_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows whether it is missing; its twin is above, where the machine answers."""
    silent = Unreachable("box: no route")
    status = looked(monkeypatch, {part.name: silent for part in PLAN.parts()}, api=silent)
    assert {part.state for part in status.parts} == {State.UNREACHABLE}


def test_a_gateway_that_does_not_answer_leaves_numbers_out(monkeypatch: pytest.MonkeyPatch) -> None:
    replica = part_of(looked(monkeypatch, metrics=Unreachable("down")), REPLICA.name)
    assert replica.load == Load()
