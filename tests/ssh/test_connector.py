"""The SSH connector keeps the promises of all connectors, and some of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from enginehouse.connectors.base import SILENT
from enginehouse.connectors.ssh import SshConnector
from enginehouse.errors import DeadlineExceeded, NotForwarded, Unreachable
from enginehouse.planner.parts import Ssh
from tests.ports import refusing_port
from tests.ssh.server import Client, Server, sshd
from tests.ssh.slow import slow_link
from tests.unit.connectors.conformance import MIB, SOON_S, ConnectorConformance, assert_ends, eventually

LINK_BYTES_PER_S = 320 * 1024
"""So slow that what a look waits for is the link, also on a busy machine: 1.3 s."""
SENT = 4 * MIB


class TestSshConnector(ConnectorConformance):
    """Conformance, over a real sshd."""


def test_scripts_go_on_where_sshd_allows_few_sessions(client: Client, place: Path) -> None:
    """What sshd refuses waits for one that ends; nothing fails."""
    with sshd(place / "few", more=["MaxSessions 2"]) as few:
        few.admit(Path(f"{client.key}.pub"))
        client.known_hosts.write_text(f"{client.known_hosts.read_text()}{few.known_line}\n")
        connector = SshConnector("box", few.ssh())
        with ThreadPoolExecutor(6) as pool:
            results = list(pool.map(lambda n: connector.run(f"sleep 0.1; echo {n}", deadline_s=SOON_S), range(6)))
        connector.close()
    assert [result.stdout for result in results] == [f"{n}\n" for n in range(6)]


def test_scripts_that_end_while_they_are_fed_keep_the_connection(connector: SshConnector, server: Server) -> None:
    """sshd ends the whole connection for bytes about a channel that it has closed; so it never closes one first."""
    logins = server.log.count("Accepted publickey")

    def end_early(_: int) -> int:
        return connector.run("head -c 3 >/dev/null", stdin=(bytes(30_000) for _ in range(99)), deadline_s=60).returncode

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(end_early, range(60))) == {0}
    assert server.log.count("Accepted publickey") == logins


def test_a_broken_connection_is_opened_anew(connector: SshConnector, server: Server) -> None:
    """Without anybody noticing, as long as no script ran on it."""
    connector.run("true", deadline_s=SOON_S)
    cut(server)
    assert connector.run("echo again", deadline_s=SOON_S).stdout == "again\n"


def test_what_runs_when_the_connection_breaks_is_ended_on_the_machine(
    connector: SshConnector, server: Server, open_another: Callable[[], SshConnector]
) -> None:
    """The call says so at once, and the keeper ends the script with its children, also one that ignores SIGTERM."""
    heard: list[str] = []

    def hear(line: str) -> None:
        heard.append(line)
        cut(server)

    with pytest.raises(Unreachable, match="box: the connection broke off"):
        connector.run("trap '' TERM; sleep 1000 & echo $!; wait", deadline_s=SOON_S, on_line=hear)
    assert_ends(open_another(), heard[0])


@pytest.mark.parametrize("keeper_has_begun", [False, True])
def test_nothing_begins_beside_a_script_whose_connection_broke(
    connector: SshConnector, server: Server, keeper_has_begun: bool
) -> None:
    """Its keeper needs three seconds to end one that ignores SIGTERM; whoever comes next does it first, also when the
    keeper has ended all the others."""
    heard: list[str] = []

    def hear(line: str) -> None:
        heard.append(line)
        cut(server)

    with pytest.raises(Unreachable, match="box: the connection broke off"):
        connector.run("trap '' TERM; sleep 1000 & echo $!; wait", deadline_s=SOON_S, on_line=hear)
    while keeper_has_begun and _leads(int(heard[0])):
        time.sleep(0.05)
    state = connector.run(f"cut -d ' ' -f 3 /proc/{heard[0]}/stat", deadline_s=SOON_S).stdout
    assert state in ("", "Z\n")


def test_an_address_that_sshd_does_not_lead_to_is_told(client: Client, place: Path) -> None:
    """Apart from one where nobody listens: waiting would not help."""
    with sshd(place / "closed", more=["AllowTcpForwarding no"]) as closed:
        closed.admit(Path(f"{client.key}.pub"))
        client.known_hosts.write_text(f"{client.known_hosts.read_text()}{closed.known_line}\n")
        connector = SshConnector("box", closed.ssh())
        with pytest.raises(NotForwarded, match="it needs `AllowTcpForwarding local`"):
            connector.dial("tcp:127.0.0.1:1", deadline_s=SOON_S)
        connector.close()


def test_without_its_keeper_a_script_would_go_on(
    connector: SshConnector, server: Server, open_another: Callable[[], SshConnector]
) -> None:
    """Twin: sshd itself leaves a command alone."""
    heard: list[str] = []

    def hear(line: str) -> None:
        heard.append(line)
        cut(server)

    script = "parent=$$; setsid sh -c 'sleep 1000 & echo $!; wait'"
    with pytest.raises(Unreachable):
        connector.run(script, deadline_s=SOON_S, on_line=hear)
    another = open_another()
    state = another.run(f"sleep 2; cut -d ' ' -f 3 /proc/{heard[0]}/stat; kill {heard[0]}", deadline_s=SOON_S)
    assert state.stdout == "S\n"


def test_a_held_script_is_dead_when_its_connection_is(
    connector: SshConnector, server: Server, tmp_path: Path, open_another: Callable[[], SshConnector]
) -> None:
    """So a lease is taken again, and was free in the meantime: its lock ends with the script."""
    lock = tmp_path / "lock"
    keeper = f"exec 9<>{lock} && flock -n 9 && echo taken && read -r bye"
    held = connector.hold(keeper, deadline_s=SOON_S)
    assert open_another().run(f"exec 9<>{lock}; flock -n 9", deadline_s=SOON_S).returncode == 1
    cut(server)
    eventually(lambda: not held.alive())
    assert connector.run(f"exec 9<>{lock}; flock -w 10 9", deadline_s=SOON_S).returncode == 0


def test_a_held_script_whose_holder_is_silent_ends_what_else_runs_over_its_connection(
    connector: SshConnector, server: Server, open_another: Callable[[], SshConnector]
) -> None:
    """sshd would keep it for hours: nothing tells it that a cable was pulled."""
    heard: list[str] = []

    def hear(line: str) -> None:
        heard.append(line)
        connector.hold(f"echo ready; exit {SILENT}", deadline_s=SOON_S)

    with pytest.raises(Unreachable, match="box: the connection broke off"):
        connector.run("sleep 1000 & echo $!; wait", deadline_s=SOON_S, on_line=hear)
    assert_ends(open_another(), heard[0])


def test_a_machine_that_hangs_is_given_no_longer_than_the_deadline(connector: SshConnector, server: Server) -> None:
    """Also by whoever only waits to be let in; it is not taken for broken, and goes on where it was."""
    with hanging(server), pytest.raises(DeadlineExceeded, match="box: the machine opened no session in time"):
        connector.run("true", deadline_s=0.5)
    assert connector.run("echo back", deadline_s=SOON_S).stdout == "back\n"


def test_many_who_meet_a_machine_that_is_down_are_told_together(client: Client) -> None:
    """One try for all who wait, not one after the other."""

    def told(_: int) -> str:
        with pytest.raises(Unreachable) as caught:
            connector.run("true", deadline_s=SOON_S)
        return str(caught.value)

    with refusing_port() as port, ThreadPoolExecutor(16) as pool:
        connector = SshConnector("box", Ssh(address="127.0.0.1", port=port))
        assert len(set(pool.map(told, range(16)))) == 1


def _leads(pid: int) -> bool:
    """Whether the process lives and the first one of its group does, too."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return Path(f"/proc/{fields[2]}/cmdline").read_bytes() != b""
    except FileNotFoundError:
        return False


def cut(server: Server) -> None:
    for pid in server.sessions():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def hanging(server: Server) -> Iterator[None]:
    """Its connections stay open, and nobody answers."""
    pids = server.sessions()
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def test_an_upload_over_a_slow_link_leaves_room_for_others(client: Client, server: Server) -> None:
    """Looks are answered many times over the same connection, while its stdin goes on."""
    assert looks_during_upload(client, server) >= 4


def test_an_upload_that_may_fill_the_queue_leaves_none(
    client: Client, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twin: what was sent before stands in a queue of megabytes, and a look behind it."""
    monkeypatch.setattr("enginehouse.connectors.ssh.link.QUEUED_BYTES", 2**31 - 1)
    assert looks_during_upload(client, server) <= 2


def looks_during_upload(client: Client, server: Server) -> int:
    """How often a script was answered while a large one was fed, from its second MiB on."""
    begun = threading.Event()

    def chunks() -> Iterator[bytes]:
        yield os.urandom(MIB)
        begun.set()
        yield from (os.urandom(MIB) for _ in range(SENT // MIB - 1))

    logins = server.log.count("Accepted publickey")
    with slow_link(server.port, bytes_per_s=LINK_BYTES_PER_S) as port, ThreadPoolExecutor(1) as pool:
        with client.known_hosts.open("a") as file:
            file.write(f"[127.0.0.1]:{port} {' '.join(server.host_key)}\n")
        with contextlib.closing(SshConnector("box", server.ssh(port=port))) as connector:
            connector.run("true", deadline_s=SOON_S)
            upload = pool.submit(connector.run, "wc -c", stdin=chunks(), deadline_s=120)
            assert begun.wait(SOON_S)
            looks = 0
            while not upload.done():
                connector.run("true", deadline_s=120)
                looks += not upload.done()
    assert upload.result().stdout == f"{SENT}\n"
    assert server.log.count("Accepted publickey") == logins + 1
    return looks


def test_ways_to_a_socket_that_are_closed_leave_nobody_behind(
    connector: SshConnector, server: Server, place: Path
) -> None:
    """A shell that finds its channel closed still ends its keeper, which would go on as long as the connection."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place / "listener"))
        listener.listen()
        before = _shells()
        for _ in range(3):
            connector.dial(f"unix:{place}/listener", deadline_s=SOON_S).close()
        until = time.monotonic() + SOON_S
        while _shells() - before:
            assert time.monotonic() < until, _shells() - before
            time.sleep(0.1)


def _shells() -> set[int]:
    """Processes of this machine that run a script over SSH, or keep one."""
    found = set()
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if b"watched=" in file.read_bytes():
                found.add(int(file.parent.name))
    return found
