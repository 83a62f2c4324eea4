"""The fake answers by rules, breaks on demand, and never invents an answer."""

from __future__ import annotations

import socket

import pytest

from enginehouse.connectors.base import Connector, Result
from enginehouse.connectors.fake import Call, FakeConnector, Unexpected
from enginehouse.errors import CommandFailed, DeadlineExceeded, Unreachable


def test_rules_answer_and_calls_are_kept() -> None:
    """By text or predicate, with text, result or function; lines are heard; the newest rule counts."""
    fake = FakeConnector()
    heard: list[str] = []
    failed = Result(returncode=3, stdout="", stderr="full")
    fake.on("uname", "Linux\nx86\n")
    fake.on(lambda call: call.stdin == b"data", failed)
    fake.on("date", lambda call: f"{call.deadline_s}")
    assert fake.run("uname -a", deadline_s=1, on_line=heard.append).stdout == "Linux\nx86\n"
    assert fake.run("cat", stdin=[b"da", b"ta"], deadline_s=2) == failed
    assert fake.run("date", deadline_s=3).stdout == "3"
    fake.on("uname", "Plan 9")
    assert fake.run("uname", deadline_s=1).stdout == "Plan 9"
    assert heard == ["Linux", "x86"]
    assert fake.calls[1] == Call(script="cat", stdin=b"data", deadline_s=2)


def test_the_unexpected_is_named() -> None:
    """A script or an address without a rule fails the test that runs it."""
    connector: Connector = FakeConnector("box")
    with pytest.raises(Unexpected, match="box: nobody expected this script:\nrm -rf x"):
        connector.run("rm -rf x", deadline_s=1)
    with pytest.raises(Unexpected, match=r"tcp:127\.0\.0\.1:1"):
        connector.dial("tcp:127.0.0.1:1", deadline_s=1)


def test_a_call_breaks_before_or_after_it_worked() -> None:
    """A link may drop before the script arrived, or before its answer did."""
    fake = FakeConnector()
    worked: list[str] = []

    def work(call: Call) -> str:
        worked.append(call.script)
        return "done"

    fake.on("", work)
    fake.break_at(1, Unreachable("gone"))
    fake.break_at(3, DeadlineExceeded("slow"), after=True)
    with pytest.raises(Unreachable):
        fake.run("one", deadline_s=1)
    fake.run("two", deadline_s=1)
    with pytest.raises(DeadlineExceeded):
        fake.run("three", deadline_s=1)
    assert worked == ["two", "three"]


def test_dialled_handlers_speak() -> None:
    """A handler serves each connection; one that fails is told by `close`."""

    def echo(connection: socket.socket) -> None:
        connection.sendall(connection.recv(10).upper())

    def fail(connection: socket.socket) -> None:
        raise RuntimeError("bad test")

    fake = FakeConnector()
    fake.listen("unix:/run/x.sock", echo)
    fake.listen("tcp:127.0.0.1:9", Unreachable("down"))
    with fake.dial("unix:/run/x.sock", deadline_s=2) as ours:
        ours.sendall(b"hey")
        assert ours.recv(10) == b"HEY"
        assert ours.recv(10) == b""
    with pytest.raises(Unreachable, match="down"):
        fake.dial("tcp:127.0.0.1:9", deadline_s=2)
    fake.close()
    fake.listen("unix:/run/x.sock", fail)
    fake.dial("unix:/run/x.sock", deadline_s=2).close()
    with pytest.raises(RuntimeError, match="bad test"):
        fake.close()


def test_held_scripts_live_until_released_or_killed() -> None:
    """Their first line is the answer's; an answer without one is a script that ended at once."""
    fake = FakeConnector()
    fake.on("keep", "ready\nmore\n")
    held = fake.hold("keep", deadline_s=1)
    assert (held.first_line, held.alive()) == ("ready", True)
    fake.close()
    assert not held.alive()
    fake.on("keep", Result(returncode=4, stdout="", stderr="no\nroom"))
    with pytest.raises(CommandFailed) as caught:
        fake.hold("keep", deadline_s=1)
    assert (caught.value.returncode, caught.value.tail) == (4, ("no", "room"))
