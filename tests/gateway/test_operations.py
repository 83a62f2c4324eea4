"""The loopback side: metrics and the state of every server, and nothing that changes anything."""

from __future__ import annotations

import pytest

from enginehouse.gateway import parse_backends, parse_stats
from tests.gateway.conftest import MakeUpstream, Start
from tests.gateway.harness import RunningGateway, ports, wait_until
from tests.gateway.parts import gateway_part


@pytest.fixture
def gateway(upstream: MakeUpstream, start: Start) -> RunningGateway:
    gateway = start(gateway_part(ports=ports(upstream("a").port)))
    gateway.make_ready("chat-laptop-0-a")
    return gateway


def operations(gateway: RunningGateway, path: str, method: str = "GET") -> tuple[int, str]:
    answer = gateway.ask(method, path, key=None, port=gateway.part.metrics_port)
    return answer.status, answer.body.decode()


def test_metrics_are_for_prometheus(gateway: RunningGateway) -> None:
    status, text = operations(gateway, "/metrics")
    assert status == 200
    assert 'haproxy_server_status{proxy="be_chat",server="chat-laptop-0-a",state="UP"} 1' in text


def test_the_stats_page_gives_the_same_servers_as_the_runtime_socket(gateway: RunningGateway) -> None:
    wait_until(lambda: gateway.runtime.servers()[0].check == "L7OK", "the first health check passes")
    status, text = operations(gateway, "/stats;csv")
    assert status == 200
    rows = {(row.backend, row.server): (row.status, row.check) for row in parse_stats(text)}
    assert rows == {("be_chat", "chat-laptop-0-a"): ("UP", "L7OK"), ("be_chat", "chat-laptop-0-b"): ("MAINT", "")}
    assert rows == {(row.backend, row.server): (row.status, row.check) for row in gateway.runtime.servers()}
    assert "be_chat" in [row.backend for row in parse_backends(text)]


def test_nothing_else_is_there_and_nothing_can_be_changed(gateway: RunningGateway) -> None:
    assert operations(gateway, "/")[0] == 404
    assert operations(gateway, "/v1/models")[0] == 404
    operations(gateway, "/stats", "POST")
    gateway.ask("POST", "/stats", b"s=chat-laptop-0-a&action=maint&b=be_chat", key=None, port=gateway.part.metrics_port)
    assert gateway.runtime.servers()[0].status == "UP"


def test_operations_are_not_on_the_endpoint(gateway: RunningGateway) -> None:
    assert [gateway.ask("GET", path).status for path in ("/metrics", "/stats", "/stats;csv")] == [404] * 3
