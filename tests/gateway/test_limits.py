"""Limits of one client: requests a minute, and requests at once."""

from __future__ import annotations

import pytest

from enginehouse.planner.parts import Client
from tests.gateway.conftest import InBackground, MakeUpstream, Start
from tests.gateway.harness import RunningGateway, ports, wait_until
from tests.gateway.parts import DEMO, gateway_part
from tests.standins.upstream import Upstream

OTHER = Client(name="other", secrets=("key-other",))


@pytest.fixture
def engine(upstream: MakeUpstream) -> Upstream:
    return upstream("a")


def ready(start: Start, engine: Upstream, client: Client) -> RunningGateway:
    gateway = start(gateway_part(ports=ports(engine.port), clients=(client, OTHER)))
    gateway.make_ready("chat-laptop-0-a")
    return gateway


def test_more_requests_than_a_minute_may_have_are_429(start: Start, engine: Upstream) -> None:
    gateway = ready(start, engine, Client(name="demo", secrets=("key-demo", "key-next"), requests_per_minute=3))
    keys = ["key-demo", "key-next", "key-demo", "key-next", "key-demo"]
    answers = [gateway.ask(key=key) for key in keys]
    assert [answer.status for answer in answers] == [200, 200, 200, 429, 429]
    assert answers[-1].error_code() == "rate_limit_exceeded"
    assert answers[-1].headers["retry-after"] == "21"
    assert gateway.ask("GET", "/v1/models").status == 200
    assert gateway.ask(key="key-other").status == 200
    assert len(engine.seen) == 4


def test_refused_requests_do_not_count_against_the_rate(start: Start, engine: Upstream) -> None:
    """Otherwise a client that keeps asking would never be let in again."""
    gateway = ready(start, engine, Client(name="demo", secrets=("key-demo",), requests_per_minute=2))
    assert [gateway.ask().status for _ in range(6)] == [200, 200, 429, 429, 429, 429]
    assert "gpc0=2 " in gateway.command("show table clients key demo")


def test_more_requests_at_once_than_allowed_are_429_until_one_ends(
    start: Start, engine: Upstream, in_background: InBackground
) -> None:
    gateway = ready(start, engine, Client(name="demo", secrets=("key-demo",), concurrent=2))
    engine.open_gate.clear()
    running = [in_background(gateway.ask) for _ in range(2)]
    wait_until(lambda: engine.in_progress == 2, "both requests are at the engine")
    answer = gateway.ask()
    assert (answer.status, answer.error_code()) == (429, "concurrency_limit_exceeded")
    assert answer.headers["retry-after"] == "1"
    other = in_background(gateway.ask, key="key-other")
    wait_until(lambda: engine.in_progress == 3, "another client is not affected")
    engine.open_gate.set()
    assert [future.result().status for future in (*running, other)] == [200] * 3
    assert gateway.ask().status == 200


def test_an_open_connection_without_a_request_does_not_count_as_one(start: Start, engine: Upstream) -> None:
    gateway = ready(start, engine, Client(name="demo", secrets=("key-demo",), concurrent=1))
    idle = [gateway.connect() for _ in range(3)]
    assert [gateway.ask(connection=connection).status for connection in idle] == [200] * 3
    assert [gateway.ask(connection=connection).status for connection in idle] == [200] * 3


def test_a_client_without_limits_has_none(start: Start, engine: Upstream) -> None:
    gateway = ready(start, engine, DEMO)
    connection = gateway.connect()
    assert {gateway.ask(connection=connection).status for _ in range(200)} == {200}


def test_a_public_gateway_has_no_limits(start: Start, engine: Upstream) -> None:
    gateway = start(gateway_part(ports=ports(engine.port), public=True))
    gateway.make_ready("chat-laptop-0-a")
    assert {gateway.ask(key=None).status for _ in range(50)} == {200}
