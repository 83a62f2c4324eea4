"""Twins: what the other tests on machines say never happens is made to happen, and they would notice."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from enginehouse.connectors import base
from enginehouse.connectors.ssh import SshConnector, link
from enginehouse.converge import Run, SystemClock
from enginehouse.converge.lease import Leases
from enginehouse.errors import ConnectorError, LeaseHeld
from tests.hosts import census
from tests.hosts.exposure import exposed, watched
from tests.hosts.faults import cut_off
from tests.hosts.lab import Lab, Machine, listens

pytestmark = pytest.mark.hosts

STATE = "/var/lib/enginehouse"
SECRET = "poison-of-nobody"
ADA, BOB = (Run(id=f"{name}-1", who=f"{name}@desk", door="test") for name in ("ada", "bob"))


@pytest.fixture(scope="module")
def machine(lab: Lab, equipped: str) -> Iterator[Machine]:
    with lab.machine("emil", 34, image=equipped) as machine:
        census.settle(machine)
        yield machine


@pytest.mark.parametrize(
    "harm",
    [
        "echo more >>/etc/others.conf",
        "chmod 600 /etc/others.conf",
        f"rm {STATE}/others/manifest.json",
        "systemctl stop others",
        f"setsid python3 -m http.server 9200 --bind 127.0.0.1 >/dev/null 2>&1 & {listens(9200)}",
        "touch /tmp/left",
    ],
)
def test_what_is_done_to_things_of_others_is_noticed(machine: Machine, harm: str) -> None:
    """A file, a service, a port."""
    before = census.others(machine, ())
    machine.run(harm)
    assert census.others(machine, ()) != before


@pytest.mark.parametrize(
    "left", [f"touch {STATE}/s.new", f"touch {STATE}/lease.note", "setsid sh -c 'watched=1; sleep 600; :' &"]
)
def test_what_a_dead_run_left_is_noticed(machine: Machine, left: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a file, a lease, a shell."""
    monkeypatch.setattr(census, "ENDS_S", 0.0)
    machine.run(left)
    with pytest.raises(AssertionError):
        census.assert_nothing_left(machine)
    machine.run(f"find {STATE} -name '*.new' -delete -o -name lease.note -delete")
    machine.run("kill -9 $(grep -lsa '[w]atched=1' /proc/[0-9]*/cmdline | cut -d / -f 3) 2>/dev/null || :")


def test_what_is_exposed_is_noticed(machine: Machine) -> None:
    """A text that was on a command line, in a file that only root can read, and in the journal."""
    with watched(machine, SECRET) as seen:
        machine.run(f"echo {SECRET} >/root/note; chmod 600 /root/note; echo {SECRET} | systemd-cat; journalctl --sync")
        assert exposed(machine, SECRET) == ["/root/note", "the journal"]
    assert any(SECRET in line for line in seen)


@pytest.mark.parametrize("silent_s", [8, 10_000])
def test_a_machine_whose_controller_was_cut_off_is_free_because_it_notices(
    machine: Machine, silent_s: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With much patience sshd holds the connection, and with it the lease, also when the cut is over."""
    monkeypatch.setattr(link, "DEAD_AFTER_S", 6)
    monkeypatch.setattr(link, "KEEP_ALIVE_S", 1)
    monkeypatch.setattr(base, "ALIVE_EVERY_S", 0.5)
    ada, bob = (SshConnector(name, machine.ssh()) for name in ("ada", "bob"))
    said: list[str] = []
    with Leases(SystemClock(), silent_s=silent_s).hold(ada, "/run/state", ADA, said.append):
        bob.run("sleep 2", deadline_s=60)  # meanwhile signs of life confirm to the machine all that it has sent
        with cut_off(machine.address):
            with pytest.raises(ConnectorError):
                ada.run("sleep 60", deadline_s=60)
            wait_until_forgotten(machine.address)
        patience = Leases(SystemClock(), lease_wait_s=60 if silent_s == 8 else 15)
        rival = patience.hold(bob, "/run/state", BOB, said.append)
        if silent_s == 8:
            with rival:
                assert "took over the lease of a run that died: ada@desk" in said[0]
        else:
            with pytest.raises(LeaseHeld, match="ada@desk"), rival:
                pass
    ada.close()
    bob.close()


def wait_until_forgotten(address: str) -> None:
    """Until our kernel has no connection to that machine's sshd any more, and would say so if asked."""
    there = f"{socket.inet_aton(address)[::-1].hex().upper()}:0016"
    until = time.monotonic() + 120
    while there in Path("/proc/net/tcp").read_text():
        assert time.monotonic() < until
        time.sleep(0.1)
