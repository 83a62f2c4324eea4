"""Which connection a script gets, and what is told when it gets none."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import cast

import paramiko
import pytest

from enginehouse.connectors.ssh import links as module
from enginehouse.connectors.ssh.link import Link
from enginehouse.connectors.ssh.links import Links
from enginehouse.errors import Unreachable

SOON_S = 10.0


class Transport:
    """An active connection whose sessions are opened by `opens`."""

    def __init__(self, opens: Callable[[float], object]) -> None:
        self._opens = opens
        self._active = True

    def open_session(self, timeout: float) -> object:
        return self._opens(timeout)

    def is_active(self) -> bool:
        return self._active

    def close(self) -> None:
        self._active = False


def silent(timeout: float) -> object:
    time.sleep(timeout)
    raise paramiko.SSHException("Timeout opening channel.")


def refuses(timeout: float) -> object:
    raise paramiko.ChannelException(1, "Administratively prohibited")


def opens(timeout: float) -> object:
    return paramiko.Channel(1)


def made(*transports: Transport) -> Links:
    several = iter(transports)
    return Links("box", lambda: Link(transports=(cast(paramiko.Transport, next(several)),)), lambda: None)


def test_a_machine_that_is_silent_is_connected_to_anew_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has not refused a session, although its connection seems to be open."""
    monkeypatch.setattr(module, "OPEN_S", 0.05)
    first = Transport(silent)
    with made(first, Transport(opens)).session(SOON_S) as channel:
        assert channel
    assert not first.is_active()
    with (
        pytest.raises(Unreachable, match="box: the connection broke off"),
        made(Transport(silent), Transport(silent)).session(SOON_S),
    ):
        pass


def test_a_machine_that_refuses_every_session_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """After it has refused for a while, not after a while of something else."""
    monkeypatch.setattr(module, "PATIENCE_S", 0.2)
    monkeypatch.setattr(module, "REFUSED_S", 0.0)
    refused: list[float] = []

    def slowly(timeout: float) -> object:
        refused.append(time.monotonic())
        if len(refused) == 1:
            time.sleep(0.3)
        return refuses(timeout)

    with pytest.raises(Unreachable, match="sshd opens no session"), made(Transport(slowly)).session(SOON_S):
        pass
    assert len(refused) > 2
