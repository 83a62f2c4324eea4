"""Scripts whose connection fails in ways that a real sshd can't be made to show."""

from __future__ import annotations

import threading
import time
from typing import Any, cast

import paramiko
import pytest

from enginehouse.connectors.base import Result
from enginehouse.connectors.ssh.session import Session
from enginehouse.errors import DeadlineExceeded, Unreachable

SOON_S = 10.0


class Channel:
    """A channel of a connection that seems to be active, and whose machine has said nothing yet."""

    def __init__(self, **scripted: Any) -> None:
        self.closed, self.eof_received = False, False
        self.ended = threading.Event()
        self.status_event, self.exit_status = threading.Event(), -1
        self.__dict__.update(scripted)

    def exec_command(self, command: str) -> None:
        """Started."""

    def recv_ready(self) -> bool:
        return False

    recv_stderr_ready = recv_ready

    def settimeout(self, timeout: float) -> None:
        """Nothing here waits."""

    def send(self, data: bytes) -> int:
        self.close()
        return len(data)

    def shutdown_write(self) -> None:
        """All is sent."""

    def close(self) -> None:
        self.closed = True
        self.ended.set()

    def get_transport(self) -> Channel:
        return self


def deaf(channel: Channel) -> None:
    """What paramiko does where nobody answers a start: wait until the channel is closed."""
    assert channel.ended.wait(SOON_S)
    raise paramiko.SSHException("Channel closed.")


def broken(*_: object) -> Any:
    raise EOFError


def session(channel: Channel, within_s: float = SOON_S) -> Session:
    ends = time.monotonic() + within_s

    def check() -> None:
        if time.monotonic() >= ends:
            raise DeadlineExceeded("too slow")

    made = cast(paramiko.Channel, channel)
    return Session(made, "sh", "true", about=str, check=check, within_s=within_s)


def run(channel: Channel, within_s: float = SOON_S) -> Result:
    return session(channel, within_s).run()


def test_the_deadline_also_ends_a_script_that_does_not_start() -> None:
    """Nothing answers, and paramiko itself would wait for ever."""
    channel = Channel()
    channel.exec_command = lambda command: deaf(channel)  # type: ignore[method-assign]
    with pytest.raises(DeadlineExceeded):
        run(channel, within_s=0.2)


def test_the_deadline_also_ends_a_write_that_does_not_end() -> None:
    """Only the end of the connection does that."""
    channel = Channel()

    def stuck(data: bytes) -> int:
        assert channel.ended.wait(SOON_S)
        raise EOFError

    channel.send = stuck  # type: ignore[method-assign]
    with pytest.raises(DeadlineExceeded):
        run(channel, within_s=0.1)


def test_a_channel_that_just_closes_is_a_connection_that_broke() -> None:
    """Before and after the script has begun: a machine that ends a script says so first."""
    with pytest.raises(Unreachable, match="broke off"):
        run(Channel())
    begun = Channel()
    serving = session(begun)
    serving._out.add(serving._out._mark + b"7\n")
    with pytest.raises(Unreachable, match="broke off"):
        serving.run()


def test_an_end_that_the_machine_told_is_none() -> None:
    """Twin: whose shell was killed has the code of that, and who never began says so."""
    told = session(Channel(eof_received=True))
    told._out.add(told._out._mark + b"7\n")
    assert told.run().returncode == 137
    with pytest.raises(Unreachable, match="no shell started"):
        run(Channel(eof_received=True, status_event=_set()))


@pytest.mark.parametrize(
    "failing",
    [
        {"recv_ready": lambda: True, "recv": broken},
        {"recv_stderr_ready": lambda: True, "recv_stderr": broken},
        {"send": broken},
    ],
)
def test_what_paramiko_raises_is_told_as_a_broken_connection(failing: dict[str, Any]) -> None:
    with pytest.raises(Unreachable, match="broke off"):
        run(Channel(**failing))


def _set() -> threading.Event:
    event = threading.Event()
    event.set()
    return event
