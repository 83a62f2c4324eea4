"""The local connector keeps the promises of all connectors, and some of its own."""

from __future__ import annotations

import gc
import os
import signal
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from enginehouse.connectors.base import Connector
from enginehouse.connectors.local import LocalConnector
from enginehouse.errors import Unreachable
from tests.unit.connectors.conformance import MIB, SOON_S, ConnectorConformance, assert_ends


@pytest.fixture
def connector() -> Iterator[Connector]:
    connector = LocalConnector("laptop")
    yield connector
    connector.close()


@pytest.fixture
def open_another() -> Callable[[], Connector]:
    return lambda: LocalConnector("laptop")


class TestLocalConnector(ConnectorConformance):
    """Conformance."""


def test_no_secret_of_the_caller_reaches_a_script() -> None:
    """Only names from a short list pass; values of stack secrets never do."""
    caller = {
        "HOME": "/home/ada",
        "ENGINEHOUSE_STATE": "/srv/state",
        "ENGINEHOUSE_SECRET_KEY_DEMO": "poison",
        "AWS_SECRET_ACCESS_KEY": "poison",
        "PULUMI_CONFIG_PASSPHRASE": "poison",
        "LD_PRELOAD": "poison",
        "PATH": "/opt/bin",
    }
    result = LocalConnector("laptop", environment=caller).run("/usr/bin/env", deadline_s=SOON_S)
    assert "poison" not in result.stdout
    assert "HOME=/home/ada" in result.stdout.splitlines()
    assert "ENGINEHOUSE_STATE=/srv/state" in result.stdout.splitlines()


def test_no_descriptor_of_the_caller_reaches_a_script() -> None:
    """A script has its three streams and nothing else."""
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    try:
        result = LocalConnector("laptop").run("ls /proc/$$/fd", deadline_s=SOON_S)
    finally:
        os.close(reader)
        os.close(writer)
    assert result.stdout.split() == ["0", "1", "2"]


def test_a_script_is_the_leader_of_its_own_session() -> None:
    """So a Ctrl-C on the caller's terminal does not reach it."""
    result = LocalConnector("laptop").run("cut -d ' ' -f 1,6 /proc/$$/stat", deadline_s=SOON_S)
    pid, session = result.stdout.split()
    assert pid == session != str(os.getsid(0))


def test_memory_stays_small_whatever_goes_through() -> None:
    """100 MB in and 100 MB out take a few times what is kept of the output."""
    connector = LocalConnector("laptop")
    tracemalloc.start()
    try:
        connector.run("cat", stdin=(bytes(MIB) for _ in range(100)), deadline_s=120)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 40 * MIB


def test_nothing_is_left_open() -> None:
    """Neither descriptors nor threads remain of scripts that ran, failed to be held, or were held."""

    def open_now() -> tuple[int, int]:
        return len(list(Path("/proc/self/fd").iterdir())), threading.active_count()

    def use(connector: Connector) -> None:
        connector.run("true", deadline_s=SOON_S)
        connector.hold("echo ready; read -r line", deadline_s=SOON_S).release()

    connector = LocalConnector("laptop")
    use(connector)
    gc.collect()
    before = open_now()
    for _ in range(5):
        use(connector)
    assert open_now() == before


def test_ctrl_c_ends_the_script() -> None:
    """The interrupted call leaves nothing running and passes the interrupt on."""
    heard: list[str] = []

    def interrupt(line: str) -> None:
        heard.append(line)
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        LocalConnector("laptop").run("echo $$; sleep 1000", deadline_s=SOON_S, on_line=interrupt)
    assert_ends(LocalConnector("laptop"), heard[0])


def test_a_machine_without_processes_to_spare_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell that can't be started is an error of ours, with the cause behind it."""
    monkeypatch.setattr("enginehouse.connectors.local.SHELL", "/nowhere/sh")
    with pytest.raises(Unreachable, match="/nowhere/sh can't be started") as caught:
        LocalConnector("laptop").run("true", deadline_s=SOON_S)
    assert isinstance(caught.value.__cause__, FileNotFoundError)


def test_a_script_with_a_nul_is_refused() -> None:
    """No shell can hold one; it would silently run something else."""
    with pytest.raises(ValueError, match="NUL"):
        LocalConnector("laptop").run("echo a\0b", deadline_s=SOON_S)


@pytest.mark.parametrize("address", ["127.0.0.1:80", "udp:127.0.0.1:80", "tcp:127.0.0.1:http", ""])
def test_what_is_no_address_is_refused(address: str) -> None:
    """A mistake of the caller is not taken for a machine that is down."""
    with pytest.raises(ValueError):
        LocalConnector("laptop").dial(address, deadline_s=1)
