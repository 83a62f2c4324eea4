"""A look at an endpoint: everything is asked at once, but nobody gets a key before the refusals are seen."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO

import pytest

from enginehouse.connectors.fake import FakeConnector
from enginehouse.converge.proof import look
from enginehouse.render.symbols import Secret
from tests.simulated.plans import PLANS

PART = PLANS[1024].endpoints[0]
KEYS = {name: Secret(f"value-of-{name}") for client in PART.clients for name in client.secrets}
WAIT_S = 20.0


@dataclass
class Gateway:
    """Answers as ours does, each pair of requests only when both are there. `keeps`: further ones are taken."""

    refuses: bool = True
    keeps: bool = True
    connections: int = 0
    asked: list[str] = field(default_factory=list)
    pair: threading.Barrier = field(default_factory=lambda: threading.Barrier(2, timeout=WAIT_S))

    def serve(self, connection: socket.socket) -> None:
        self.connections += 1
        with connection.makefile("rwb") as stream:
            while self._serve_one(stream) and self.keeps:
                pass

    def _serve_one(self, stream: IO[bytes]) -> bool:
        """False at the end of the connection."""
        head, length = "", 0
        while (line := stream.readline().decode()) not in ("", "\r\n"):
            head += line
            name, _, value = line.partition(": ")
            length = int(value) if name == "Content-Length" else length
        if not head:
            return False
        stream.read(length)
        known = any(f"Bearer {key.reveal()}" in head for key in KEYS.values())
        self.asked.append(f"{head.split()[1]} {'with' if known else 'without'} a key")
        self.pair.wait()
        status, body = (200, self._answer(head)) if known or not self.refuses else (401, {})
        sent = json.dumps(body).encode()
        stream.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (status, len(sent), sent))
        stream.flush()
        return True

    def _answer(self, head: str) -> object:
        if head.startswith("GET"):
            return {"data": [{"id": name} for name in PART.names]}
        return {"choices": [{"message": {"content": "Hi."}}]}


@pytest.fixture
def connector() -> Iterator[FakeConnector]:
    made = FakeConnector()
    yield made
    made.close()


def test_what_is_asked_of_an_endpoint_is_asked_at_once(connector: FakeConnector) -> None:
    """Both refusals, then everything else over the same two connections, however much it is."""
    assert (len(KEYS), len(PART.models)) == (1, 1)
    gateway = Gateway()
    connector.listen(PART.address, gateway.serve)
    assert look(PART, connector, KEYS) == ()
    assert gateway.asked[:2] == ["/v1/models without a key"] * 2
    assert sorted(gateway.asked[2:]) == ["/v1/chat/completions with a key", "/v1/models with a key"]
    assert gateway.connections == 2


def test_a_connection_that_is_not_kept_is_replaced(connector: FakeConnector) -> None:
    """A gateway may end one whenever it wants to."""
    gateway = Gateway(keeps=False)
    connector.listen(PART.address, gateway.serve)
    assert look(PART, connector, KEYS) == ()
    assert gateway.connections == 4


def test_whoever_refuses_nobody_gets_no_key(connector: FakeConnector) -> None:
    """Somebody else may listen there."""
    gateway = Gateway(refuses=False)
    connector.listen(PART.address, gateway.serve)
    found = look(PART, connector, KEYS)
    assert [text.partition(":")[0] for text in found] == ["a request without a key", "a request with a wrong key"]
    assert gateway.asked == ["/v1/models without a key"] * 2
