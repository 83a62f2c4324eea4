"""Requests of each replica, read from the gateway's statistics."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import replace

import pytest

from enginehouse.connectors.fake import FakeConnector
from enginehouse.errors import Unreachable
from enginehouse.gateway import parse_backends, parse_stats
from enginehouse.report.status import Load
from enginehouse.verbs.traffic import Traffic, traffic
from tests.unit.report.plans import GATEWAY, REPLICA

STATS = """\
# pxname,svname,qcur,scur,weight,status,check_status,lastchg
api,FRONTEND,,7,1,OPEN,,
be_chat,chat-box-0-a,1,2,1,UP,L7OK,500
be_chat,chat-box-0-b,0,1,1,DRAIN,L7OK,20
be_chat,chat-box-1-a,0,2,1,UP,L7OK,300
be_chat,chat-box-1-b,0,0,1,MAINT,,300
be_chat,BACKEND,4,9,1,UP,,500
"""
SEEN = Traffic(servers=parse_stats(STATS), backends=parse_backends(STATS))
SECOND = replace(
    REPLICA,
    name="chat-box-1",
    index=1,
    gateway=replace(REPLICA.gateway, servers={"a": "chat-box-1-a", "b": "chat-box-1-b"}),
)


def test_both_sides_of_a_replica_count() -> None:
    """While one drains, its requests still run."""
    assert SEEN.load(REPLICA).running == 3


def test_what_waits_for_any_replica_is_shown_once() -> None:
    """The queue belongs to the deployment; its replicas' numbers add up to it."""
    assert (SEEN.load(REPLICA).queued, SEEN.load(SECOND).queued) == (1 + 4, 0)
    assert SEEN.total() == Load(running=5, queued=5)


def test_a_replica_serves_since_its_side_became_usable() -> None:
    assert (SEEN.usable_for_s(REPLICA), SEEN.usable_for_s(SECOND)) == (500, 300)
    assert Traffic(servers=(), backends=()).usable_for_s(REPLICA) is None


def http(body: str) -> Callable[[socket.socket], None]:
    """Answers one request with `body`."""

    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        connection.sendall((head + body).encode())

    return serve


def test_the_statistics_come_from_the_metrics_port() -> None:
    connector = FakeConnector()
    connector.listen("tcp:127.0.0.1:20000", http(STATS))
    assert traffic(GATEWAY, connector) == SEEN


def test_a_gateway_that_is_down_is_unreachable() -> None:
    connector = FakeConnector()
    connector.listen("tcp:127.0.0.1:20000", Unreachable("nothing answers"))
    with pytest.raises(Unreachable):
        traffic(GATEWAY, connector)
