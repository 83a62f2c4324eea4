"""Errors that HAProxy produces by itself look like every other error."""

from __future__ import annotations

import json

import pytest

from tests.gateway.conftest import MakeUpstream, Start
from tests.gateway.harness import KEYS, ports, replacing
from tests.gateway.parts import gateway_part
from tests.ports import refusing_port

HEAD = f"POST /v1/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {KEYS['key-demo']}\r\n"

UNNOTICED = replacing("fall 2", "fall 1000")
"""A dead engine counts as well for the whole test."""


def status_and_code(raw: bytes) -> tuple[int, str]:
    head, _, body = raw.partition(b"\r\n\r\n")
    assert b"content-type: application/json" in head.lower()
    return int(head.split()[1]), json.loads(body)["error"]["code"]


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"hello\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: x\r\nBad Name: 1\r\n\r\n",
        HEAD.encode() + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        HEAD.encode() + b"X: " + b"x" * 20000 + b"\r\n\r\n",
    ],
    ids=["no HTTP", "TLS", "no header", "no chunk", "headers larger than the buffer"],
)
def test_bytes_that_are_no_request_are_400_by_haproxy_and_logged_as_json(start: Start, request_bytes: bytes) -> None:
    """No stream exists yet, so HAProxy's built-in page is the answer; see `replies.own_errors`."""
    gateway = start(gateway_part(ports=ports()))
    assert gateway.raw(request_bytes).startswith(b"HTTP/1.1 400 ")
    assert gateway.log_entries(1)[0]["status"] == 400
    assert gateway.ask("GET", "/v1/models").status == 200


def test_a_body_that_does_not_come_is_408(start: Start) -> None:
    gateway = start(
        gateway_part(ports=ports()),
        edit=replacing("wait-for-body time 10s", "wait-for-body time 100ms"),
    )
    assert status_and_code(gateway.raw(HEAD.encode() + b"Content-Length: 10\r\n\r\n{")) == (408, "request_timeout")


def test_an_engine_that_cuts_the_connection_is_502_and_is_asked_once(upstream: MakeUpstream, start: Start) -> None:
    engine = upstream("a", resets_at=1)
    gateway = start(gateway_part(ports=ports(engine.port)))
    gateway.make_ready("chat-laptop-0-a")
    answer = gateway.ask()
    assert (answer.status, answer.error_code(), len(engine.seen)) == (502, "bad_gateway", 1)


def test_an_engine_that_stays_silent_is_504_and_is_asked_once(upstream: MakeUpstream, start: Start) -> None:
    engine = upstream("a")
    engine.open_gate.clear()
    gateway = start(gateway_part(ports=ports(engine.port), first_token_s=1))
    gateway.make_ready("chat-laptop-0-a")
    answer = gateway.ask()
    assert (answer.status, answer.error_code(), len(engine.seen)) == (504, "gateway_timeout", 1)


def test_a_request_that_was_never_sent_is_tried_on_another_replica(upstream: MakeUpstream, start: Start) -> None:
    """A replica that just died is still "up" until its check fails twice; nobody notices."""
    engine = upstream("b")
    with refusing_port() as dead_port:
        gateway = start(gateway_part(replicas=2, ports=ports(dead_port, 1, engine.port)), edit=UNNOTICED)
        gateway.make_ready("chat-laptop-0-a", "chat-laptop-1-a")
        answers = [gateway.ask() for _ in range(4)]
    assert [answer.status for answer in answers] == [200] * 4
    assert len(engine.seen) == 4


def test_an_engine_that_is_gone_is_503_with_a_time_to_come_back(start: Start) -> None:
    gateway = start(gateway_part(ports=ports()), edit=UNNOTICED)
    gateway.make_ready("chat-laptop-0-a")
    answer = gateway.ask()
    assert (answer.status, answer.error_code(), answer.headers["retry-after"]) == (503, "unavailable", "5")


def test_the_twin_a_second_try_after_a_cut_runs_the_request_twice(upstream: MakeUpstream, start: Start) -> None:
    """What `retry-on conn-failure` keeps from happening."""
    engine = upstream("a", resets_at=1)
    gateway = start(
        gateway_part(ports=ports(engine.port)),
        edit=replacing("retry-on conn-failure", "retry-on all-retryable-errors"),
    )
    gateway.make_ready("chat-laptop-0-a")
    assert gateway.ask().status == 502
    assert len(engine.seen) > 1
