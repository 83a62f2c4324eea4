"""Requests that have to wait: for a free slot, for a usable server, for a drain; and those that stop waiting."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from concurrent.futures import Future

import pytest

from enginehouse.gateway import BackendRow, Refused, ServerState, parse_backends
from tests.gateway.conftest import InBackground, MakeUpstream, Start
from tests.gateway.harness import KEYS, Answer, RunningGateway, ports, replacing, wait_until
from tests.gateway.parts import gateway_part
from tests.standins.upstream import Upstream

A, B = "chat-laptop-0-a", "chat-laptop-0-b"
BODY = b'{"model": "org/chat:1"}'
REQUEST = (
    f"POST /v1/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEYS['key-demo']}\r\n"
    f"Content-Length: {len(BODY)}\r\n\r\n".encode()
    + BODY
)


@pytest.fixture
def engine(upstream: MakeUpstream) -> Upstream:
    return upstream("a")


def send_and_leave(gateway: RunningGateway, *, once: Callable[[], bool]) -> None:
    """Send a completion and close the connection as soon as `once()`, without having read anything."""
    with socket.create_connection(("127.0.0.1", gateway.part.port)) as client:
        client.sendall(REQUEST)
        wait_until(once, "the request is where it should be")


def backend(gateway: RunningGateway) -> BackendRow:
    stats = gateway.ask("GET", "/stats;csv", key=None, port=gateway.part.metrics_port).body.decode()
    return next(row for row in parse_backends(stats) if row.backend == "be_chat")


def test_requests_beyond_the_slots_wait_in_the_gateway_and_all_get_an_answer(
    start: Start, engine: Upstream, in_background: InBackground
) -> None:
    gateway = start(gateway_part(ports=ports(engine.port), slots=2))
    gateway.make_ready(A)
    engine.open_gate.clear()
    futures = [in_background(gateway.ask) for _ in range(8)]
    wait_until(lambda: backend(gateway).queued == 6, "six requests wait")
    wait_until(lambda: engine.in_progress == 2, "two are at the engine")
    assert gateway.runtime.sessions("be_chat", A) == 2
    engine.open_gate.set()
    assert [future.result().status for future in futures] == [200] * 8
    assert engine.most_in_progress == 2
    assert max(entry["queue_ms"] for entry in gateway.log_entries(8)) > 0


def test_a_wait_for_a_slot_ends_with_503_and_a_time_to_come_back(
    start: Start, engine: Upstream, in_background: InBackground
) -> None:
    gateway = start(gateway_part(ports=ports(engine.port), slots=1, queue_s=1))
    gateway.make_ready(A)
    engine.open_gate.clear()
    first = in_background(gateway.ask)
    wait_until(lambda: engine.in_progress == 1, "the slot is taken")
    answer = gateway.ask()
    assert (answer.status, answer.error_code(), answer.headers["retry-after"]) == (503, "unavailable", "5")
    engine.open_gate.set()
    assert first.result().status == 200


def test_requests_sent_while_no_server_is_usable_are_held_until_one_is(
    start: Start, engine: Upstream, in_background: InBackground
) -> None:
    gateway = start(gateway_part(ports=ports(engine.port)))
    futures = [in_background(gateway.ask) for _ in range(20)]
    wait_until(lambda: backend(gateway).sessions == 20, "all requests are held")
    gateway.make_ready(A)
    assert [future.result().status for future in futures] == [200] * 20
    assert engine.most_in_progress <= 4


def test_the_twin_without_the_hold_they_fail_at_once(start: Start, engine: Upstream) -> None:
    gateway = start(gateway_part(ports=ports(engine.port)), edit=replacing("http-request lua.hold", "#"))
    assert gateway.ask().status == 503


def test_a_hold_ends_with_503_when_no_server_comes(start: Start, engine: Upstream) -> None:
    """When its time is over: the usual one is half a minute."""
    gateway = start(gateway_part(ports=ports(engine.port), queue_s=1))
    began = time.monotonic()
    answer = gateway.ask()
    assert (answer.status, answer.error_code(), answer.headers["retry-after"]) == (503, "unavailable", "5")
    assert 0.9 < time.monotonic() - began < 25


def test_only_so_many_requests_are_held(start: Start, engine: Upstream, in_background: InBackground) -> None:
    gateway = start(gateway_part(ports=ports(engine.port)), edit=replacing("be_conn le 64", "be_conn le 3"))
    futures = [in_background(gateway.ask) for _ in range(3)]
    wait_until(lambda: backend(gateway).sessions == 3, "three requests are held")
    assert gateway.ask().status == 503
    gateway.make_ready(A)
    assert [future.result().status for future in futures] == [200] * 3


def test_a_request_whose_client_left_the_queue_never_reaches_the_engine(
    start: Start, engine: Upstream, in_background: InBackground
) -> None:
    gateway = start(gateway_part(ports=ports(engine.port), slots=1))
    gateway.make_ready(A)
    engine.open_gate.clear()
    first = in_background(gateway.ask)
    wait_until(lambda: engine.in_progress == 1, "the slot is taken")
    send_and_leave(gateway, once=lambda: backend(gateway).queued == 1)
    wait_until(lambda: backend(gateway).queued == 0, "the queue is empty")
    engine.open_gate.set()
    assert first.result().status == 200
    assert len(engine.seen) == 1


def test_no_engine_goes_on_with_a_request_whose_client_left_while_it_was_held(start: Start, engine: Upstream) -> None:
    """HAProxy 2.8.25 may see that only when it connects to the engine: the request may get there, but not to work."""
    gateway = start(gateway_part(ports=ports(engine.port)))
    engine.open_gate.clear()
    send_and_leave(gateway, once=lambda: backend(gateway).sessions == 1)
    gateway.make_ready(A)
    wait_until(lambda: backend(gateway).sessions == 0, "nothing waits any more")
    wait_until(lambda: len(engine.seen) == engine.abandoned, "the engine works on nothing")


def test_a_client_that_leaves_ends_the_work_of_the_engine(start: Start, engine: Upstream) -> None:
    gateway = start(gateway_part(ports=ports(engine.port)))
    gateway.make_ready(A)
    engine.open_gate.clear()
    send_and_leave(gateway, once=lambda: engine.in_progress == 1)
    wait_until(lambda: engine.abandoned == 1, "the engine sees that nobody listens")


def test_a_drained_server_finishes_its_requests_and_gets_no_new_ones(
    start: Start, upstream: MakeUpstream, in_background: InBackground
) -> None:
    """How a replica is swapped: the new side is ready, the old one drained until it is idle."""
    old, new = upstream("old"), upstream("new")
    gateway = start(gateway_part(ports=ports(old.port, new.port)))
    gateway.make_ready(A)
    old.open_gate.clear()
    running = in_background(gateway.ask)
    wait_until(lambda: gateway.runtime.sessions("be_chat", A) == 1, "the old side works")
    gateway.make_ready(B)
    gateway.set_state(A, ServerState.DRAIN)
    assert [gateway.ask().json() for _ in range(5)] == [{"from": "new"}] * 5
    assert gateway.runtime.sessions("be_chat", A) == 1
    old.open_gate.set()
    assert running.result().json() == {"from": "old"}
    wait_until(lambda: gateway.runtime.sessions("be_chat", A) == 0, "the old side is idle")


def crowded(
    gateway: RunningGateway, engine: Upstream, in_background: InBackground
) -> tuple[Future[Answer], list[Future[Answer]]]:
    """One request at the only engine, three in the queue."""
    engine.open_gate.clear()
    first = in_background(gateway.ask)
    wait_until(lambda: engine.in_progress == 1, "the slot is taken")
    queued = [in_background(gateway.ask) for _ in range(3)]
    wait_until(lambda: backend(gateway).queued == 3, "three requests wait")
    return first, queued


def test_pausing_the_only_server_keeps_the_queue_waiting_even_while_its_engine_is_exchanged(
    start: Start, upstream: MakeUpstream, in_background: InBackground
) -> None:
    old, new = upstream("old"), upstream("new")
    gateway = start(gateway_part(ports=ports(old.port, new.port), slots=1))
    gateway.make_ready(A)
    first, queued = crowded(gateway, old, in_background)
    gateway.runtime.pause("be_chat", A)
    old.open_gate.set()
    assert first.result().json() == {"from": "old"}
    wait_until(lambda: gateway.runtime.sessions("be_chat", A) == 0, "the old side is idle")
    old.healthy = False
    held = in_background(gateway.ask)
    wait_until(lambda: backend(gateway).sessions == 4, "a new request waits as well")
    gateway.make_ready(B)
    gateway.set_state(A, ServerState.MAINT)
    assert [future.result().json() for future in (*queued, held)] == [{"from": "new"}] * 4
    assert len(old.seen) == 1


def test_the_twin_draining_the_only_server_answers_the_queue_with_503(
    start: Start, engine: Upstream, in_background: InBackground
) -> None:
    """HAProxy 2.8.25 at once, 2.6.12 when their time is over."""
    gateway = start(gateway_part(ports=ports(engine.port), slots=1, queue_s=10))
    gateway.make_ready(A)
    first, queued = crowded(gateway, engine, in_background)
    gateway.set_state(A, ServerState.DRAIN)
    assert [future.result().status for future in queued] == [503] * 3
    engine.open_gate.set()
    assert first.result().status == 200


def test_a_paused_server_can_be_ready_again(start: Start, engine: Upstream) -> None:
    gateway = start(gateway_part(ports=ports(engine.port)))
    gateway.make_ready(A)
    gateway.runtime.pause("be_chat", A)
    assert not gateway.runtime.servers()[0].is_usable()
    gateway.make_ready(A)
    assert gateway.ask().status == 200
    engine.healthy = False
    wait_until(lambda: not gateway.runtime.servers()[0].is_usable(), "it is checked again")


def test_the_least_busy_replica_takes_the_next_request(
    start: Start, upstream: MakeUpstream, in_background: InBackground
) -> None:
    one, two = upstream("one"), upstream("two")
    gateway = start(gateway_part(replicas=2, ports=ports(one.port, 1, two.port, 1)))
    gateway.make_ready("chat-laptop-0-a", "chat-laptop-1-a")
    one.open_gate.clear()
    two.open_gate.clear()
    futures = []
    for _ in range(6):
        futures.append(in_background(gateway.ask))
        wait_until(lambda: one.in_progress + two.in_progress == len(futures), "the request is at an engine")
    assert (one.in_progress, two.in_progress) == (3, 3)
    one.open_gate.set()
    two.open_gate.set()
    assert {future.result().status for future in futures} == {200}


def test_a_sick_engine_gets_no_requests_and_is_used_again_when_it_is_well(start: Start, engine: Upstream) -> None:
    gateway = start(gateway_part(ports=ports(engine.port)))
    gateway.make_ready(A)
    engine.healthy = False
    wait_until(lambda: not gateway.runtime.servers()[0].is_usable(), "two checks fail")
    assert (gateway.runtime.servers()[0].status, gateway.runtime.servers()[0].check) == ("DOWN", "L7STS")
    assert gateway.ask("GET", "/health", key=None).status == 503
    engine.healthy = True
    assert gateway.ask().status == 200


def test_an_unknown_server_is_an_error_that_says_so(start: Start, engine: Upstream) -> None:
    gateway = start(gateway_part(ports=ports(engine.port)))
    with pytest.raises(Refused, match="set server be_chat/nobody state ready"):
        gateway.runtime.set_state("be_chat", "nobody", ServerState.READY)
    with pytest.raises(Refused, match="no server be_nobody/a"):
        gateway.runtime.sessions("be_nobody", "a")


def test_setting_a_state_twice_is_no_error(start: Start, engine: Upstream) -> None:
    gateway = start(gateway_part(ports=ports(engine.port)))
    for state in ServerState:
        gateway.set_state(A, state)
        gateway.set_state(A, state)
