"""One connector per machine, shared by everybody."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from enginehouse.connectors import Connectors
from enginehouse.connectors.base import Connector
from enginehouse.connectors.fake import FakeConnector
from enginehouse.connectors.local import LocalConnector
from enginehouse.errors import Cancelled
from enginehouse.planner.parts import Connection, ConnectionKind, Part

LOCAL = Connection(kind=ConnectionKind.LOCAL)


def part(host: str, name: str = "chat-0") -> Part:
    return Part(name=name, stack="laptop", host=host, connection=LOCAL)


def test_parts_of_one_machine_share_a_connector() -> None:
    """Even if many threads ask at once; another machine has another."""
    opened: list[str] = []

    def opener(host: str, connection: Connection) -> Connector:
        opened.append(host)
        return FakeConnector(host)

    connectors = Connectors({ConnectionKind.LOCAL: opener})
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda n: connectors.connect(part("here", f"chat-{n}")), range(32)))
    assert len(set(map(id, got))) == 1
    assert connectors.connect(part("there")) is not got[0]
    assert opened == ["here", "there"]


def test_a_local_machine_is_reached_by_the_local_connector() -> None:
    """And carries its name in the stack."""
    connector = Connectors().connect(part("laptop"))
    assert isinstance(connector, LocalConnector)
    assert connector.host == "laptop"


def test_closing_closes_every_connector() -> None:
    """Those who still have one are told so, and those who come late; closing again does nothing."""
    connectors = Connectors()
    connector = connectors.connect(part("laptop"))
    connectors.close()
    connectors.close()
    with pytest.raises(Cancelled, match="laptop"):
        connector.run("true", deadline_s=5)
    with pytest.raises(Cancelled, match="laptop"):
        connectors.connect(part("laptop"))
