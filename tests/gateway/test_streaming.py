"""Streams come through piece by piece, and no connection is used again under a request."""

from __future__ import annotations

import http.client
import json

import pytest

from tests.gateway.conftest import MakeUpstream, Start
from tests.gateway.harness import KEYS, ports, replacing
from tests.gateway.parts import gateway_part
from tests.standins.upstream import FIRST_PIECE, LAST_PIECE

READY = "chat-laptop-0-a"
HEADERS = {"Authorization": f"Bearer {KEYS['key-demo']}"}


def test_the_first_piece_arrives_while_the_engine_still_works_on_the_second(
    upstream: MakeUpstream, start: Start
) -> None:
    engine = upstream("a")
    gateway = start(gateway_part(ports=ports(engine.port)))
    gateway.make_ready(READY)
    engine.open_gate.clear()
    connection = gateway.connect()
    connection.request("POST", "/v1/chat/completions", json.dumps({"model": "org/chat:1", "stream": True}), HEADERS)
    answer = connection.getresponse()
    assert answer.read(len(FIRST_PIECE)) == FIRST_PIECE
    assert engine.in_progress == 1
    engine.open_gate.set()
    assert answer.read() == LAST_PIECE


def test_a_request_on_an_old_client_connection_never_meets_a_closing_engine_connection(
    upstream: MakeUpstream, start: Start
) -> None:
    """The engine resets every second request of a connection, as if its idle limit (llama-server: 5 s) just ended."""
    engine = upstream("a", resets_at=2)
    gateway = start(gateway_part(ports=ports(engine.port)))
    gateway.make_ready(READY)
    connection = gateway.connect()
    assert [gateway.ask(connection=connection).status for _ in range(10)] == [200] * 10


def test_the_twin_with_connections_kept_open_the_second_request_fails(upstream: MakeUpstream, start: Start) -> None:
    engine = upstream("a", resets_at=2)
    gateway = start(
        gateway_part(ports=ports(engine.port)),
        edit=replacing("option http-server-close", "option http-keep-alive"),
    )
    gateway.make_ready(READY)
    connection = gateway.connect()
    assert gateway.ask(connection=connection).status == 200
    with pytest.raises(http.client.RemoteDisconnected):
        gateway.ask(connection=connection)
