"""One connector per machine, shared by everybody."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from enginehouse.connectors import Connectors, Passwords
from enginehouse.connectors.base import Connector
from enginehouse.connectors.fake import FakeConnector
from enginehouse.connectors.local import LocalConnector
from enginehouse.errors import Cancelled, Unreachable
from enginehouse.planner.parts import Become, Connection, ConnectionKind, Part, Ssh
from enginehouse.render.symbols import Secret

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


SSH = Ssh(address="10.1.0.11", become=Become.SUDO, sudo_password="ops-sudo")
BEHIND_SUDO = Part(name="chat-0", stack="rack", host="gpu-1", connection=Connection(kind=ConnectionKind.SSH, ssh=SSH))


def asking(opened: list[Secret], **more: Passwords) -> Connectors:
    """What is opened notes its password."""

    def opener(host: str, connection: Connection, password: Secret) -> Connector:
        opened.append(password)
        return FakeConnector(host)

    return Connectors({ConnectionKind.SSH: opener}, **more)


def test_sudo_gets_the_password_of_whoever_asks() -> None:
    """The same one opens nothing new; another one, as while it is being changed, is another connection."""
    opened: list[Secret] = []
    connectors = asking(opened)
    for value in ("old", "new", "old"):
        connectors.connect(BEHIND_SUDO, {"ops-sudo": Secret(value), "key-demo": Secret("c0ffee")})
    assert opened == [Secret("old"), Secret("new")]


def test_what_is_said_for_one_run_comes_before_what_a_state_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a stack can be destroyed after its password was changed."""
    opened: list[Secret] = []
    monkeypatch.setenv("ENGINEHOUSE_SECRET_OPS_SUDO", "new")
    asking(opened).connect(BEHIND_SUDO, {"ops-sudo": Secret("old")})
    assert opened == [Secret("new")]


def test_a_password_without_a_value_is_told_with_the_ways_to_give_it() -> None:
    """Before anything is dialled."""
    with pytest.raises(Unreachable) as failure:
        asking([], passwords=lambda part, name: None).connect(BEHIND_SUDO)
    assert str(failure.value) == (
        "gpu-1: sudo needs a password, and the secret 'ops-sudo' has no value here; set ENGINEHOUSE_SECRET_OPS_SUDO, "
        "or run `pulumi config set --stack rack --secret ops-sudo`"
    )
