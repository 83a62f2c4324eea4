"""What breaks between the controller and a machine, or on it, at a step's beginning; `mend` ends all of it."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from enginehouse.converge.events import Event
from tests.faults.faults import DAY, ENGINES, Fault, run_twice
from tests.faults.mortal import at_the_beginning
from tests.hosts.census import STATE
from tests.hosts.dpkg import locked
from tests.hosts.faulty import FaultyHostWorld

FROZEN_S = 1.0
CUT_HERE = "echo cut-here\nsleep 600\n"
"""A script that has come to this does nothing more; somebody has to end it."""
SESSIONS = "kill -9 $(grep -lsa '^sshd: .*@notty' /proc/[0-9]*/cmdline | cut -d / -f 3) 2>/dev/null || :"
FEW = "MaxStartups 1:100:1\n"
FORGIVE = "systemctl reset-failed ssh"
"""systemd counts starts, and gives up a service that is started too often within some seconds."""
RESTART_SSHD = f"{FORGIVE}; systemctl restart ssh"
"""Its sessions stay, and it listens when this ends; a reload closes its port and opens it some time later."""


def freeze(world: FaultyHostWorld) -> None:
    """For some seconds, as when a virtual machine moves."""
    lab, name = world.bare.lab, world.bare.name
    assert lab.docker("pause", name).returncode == 0

    def thaw() -> None:
        time.sleep(FROZEN_S)
        lab.docker("unpause", name).check_returncode()

    _meanwhile(world, thaw)


@contextlib.contextmanager
def cut_off(address: str) -> Iterator[None]:
    """No packet comes through, either way, and nobody is told."""
    with _filter("OUTPUT", "-d", address, "-j", "DROP"), _filter("INPUT", "-s", address, "-j", "DROP"):
        yield


def cut(world: FaultyHostWorld) -> None:
    """Until it is mended."""
    world.damage.enter_context(cut_off(world.bare.address))


def cut_in_a_script(world: FaultyHostWorld) -> None:
    """The same in the middle of the next script that changes something."""
    world.line.next_is = lambda script: at_the_beginning(script, CUT_HERE)
    world.line.heard = lambda line: cut(world) if line == "cut-here" else None


def refuse(world: FaultyHostWorld) -> None:
    """As if no sshd were there."""
    reset = ("-j", "REJECT", "--reject-with", "tcp-reset")
    world.damage.enter_context(_filter("INPUT", "-s", world.bare.address, "-p", "tcp", "--sport", "22", *reset))
    world.damage.enter_context(_filter("OUTPUT", "-d", world.bare.address, "-p", "tcp", "--dport", "22", *reset))


def kill_sessions(world: FaultyHostWorld) -> None:
    world.bare.run(SESSIONS)


def kill_listener(world: FaultyHostWorld) -> None:
    """And the sessions, so that a new one is needed; systemd starts it again."""
    world.bare.run(f"{FORGIVE}; kill -9 $(cat /run/sshd.pid); {SESSIONS}")


def crowd(world: FaultyHostWorld) -> None:
    """sshd lets one at a time log in, somebody is at it, and our connection broke."""
    bare = world.bare
    bare.put("/etc/ssh/sshd_config.d/few.conf", FEW.encode(), 0o644)
    bare.run(RESTART_SSHD)
    world.damage.callback(bare.run, f"rm -f /etc/ssh/sshd_config.d/few.conf; {RESTART_SSHD}")
    somebody = world.damage.enter_context(socket.create_connection((bare.address, 22)))
    somebody.settimeout(20)
    assert somebody.recv(4) == b"SSH-"
    kill_sessions(world)


def fill_disk(world: FaultyHostWorld) -> None:
    world.bare.run(f"cat /dev/zero >{STATE}/ballast 2>/dev/null || :")
    world.damage.callback(world.bare.run, f"rm {STATE}/ballast")


def lock_state(world: FaultyHostWorld) -> None:
    _lock(world, STATE)


def lock_etc(world: FaultyHostWorld) -> None:
    _lock(world, "/etc")


def slow_down(world: FaultyHostWorld) -> None:
    """To a megabit a second, with half a second of queue."""
    pid = world.bare.lab.docker("inspect", "--format={{.State.Pid}}", world.bare.name).stdout.decode().strip()
    inside = ("nsenter", "--net", "--target", pid, "tc", "qdisc")
    limits = ("tbf", "rate", "1mbit", "burst", "16kb", "latency", "400ms")
    subprocess.run((*inside, "add", "dev", "eth0", "root", *limits), check=True)
    world.damage.callback(subprocess.run, (*inside, "del", "dev", "eth0", "root"), check=True)


def lose_packets(world: FaultyHostWorld) -> None:
    """Every fifth of those that come from there."""
    lost = ("-m", "statistic", "--mode", "nth", "--every", "5", "--packet", "0")
    world.damage.enter_context(_filter("INPUT", "-s", world.bare.address, *lost, "-j", "DROP"))


def set_clock(world: FaultyHostWorld) -> None:
    """Ours, a day ahead; the next time, a day back: the machine's is wrong, or ours is."""
    world.clock.ahead = DAY if world.days % 2 == 0 else -DAY
    world.days += 1
    world.damage.callback(setattr, world.clock, "ahead", timedelta())


def lock_packages(world: FaultyHostWorld) -> None:
    """Another package manager is at work, until the run has said that it waits for it; that it never does is told."""
    waited = world.damage.enter_context(locked(world.bare))
    before = world.on_event

    def hear(event: Event) -> None:
        before(event)
        waited(event.text)

    world.on_event = hear


def reboot(world: FaultyHostWorld) -> None:
    _note_killed(world)
    _meanwhile(world, world.bare.reboot)


def cut_power(world: FaultyHostWorld) -> None:
    _note_killed(world)
    assert world.bare.lab.docker("kill", world.bare.name).returncode == 0
    world.damage.callback(world.bare.power_on)


FAULTS: Mapping[str, Fault] = {
    fault.name: fault
    for fault in (
        Fault(name="freeze", strike=freeze, passes=True),
        Fault(name="cut", strike=cut, says="box: "),
        Fault(name="cut-in-a-script", strike=cut_in_a_script, says="box: ", may_pass=True),
        Fault(name="refuse", strike=refuse, says="box: "),
        Fault(name="kill-sessions", strike=kill_sessions, says="box: ", may_pass=True),
        Fault(name="kill-listener", strike=kill_listener, says="box: ", may_pass=True),
        Fault(name="crowd", strike=crowd, says="box: "),
        Fault(name="full-disk", strike=fill_disk, says="is full (0 MiB are free", may_pass=True),
        Fault(name="read-only-state", strike=lock_state, says="is read-only", may_pass=True),
        Fault(name="read-only-etc", strike=lock_etc, says="Read-only file system", may_pass=True),
        Fault(name="slow", strike=slow_down, passes=True),
        Fault(name="lose-packets", strike=lose_packets, passes=True),
        Fault(name="reboot", strike=reboot, says="box: ", may_pass=True, fails_requests=True, litters=True),
        Fault(name="power-cut", strike=cut_power, says="box: ", fails_requests=True, litters=True),
        Fault(name="two-runs", strike=run_twice, passes=True),
        Fault(name="kill-run", strike=None),
        Fault(name="kill-run-in-a-script", strike=None, in_a_script=True, litters=True),
        Fault(name="clock", strike=set_clock, passes=True),
        Fault(name="packages-locked", strike=lock_packages, passes=True),
    )
}


def mend(world: FaultyHostWorld) -> None:
    """Everything works again, for a new run."""
    world.damage.close()
    world.bare.wait()
    world.another_run()


@contextlib.contextmanager
def _filter(chain: str, *rule: str) -> Iterator[None]:
    subprocess.run(("iptables", "-w", "-I", chain, *rule), check=True)
    try:
        yield
    finally:
        subprocess.run(("iptables", "-w", "-D", chain, *rule), check=True)


def _meanwhile(world: FaultyHostWorld, act: Callable[[], object]) -> None:
    """While the run goes on; mended is what ends when this has ended. What goes wrong with it is raised then."""
    pool = ThreadPoolExecutor(1)
    world.damage.callback(pool.submit(act).result)
    pool.shutdown(wait=False)


def _lock(world: FaultyHostWorld, path: str) -> None:
    world.bare.run(f"mount --bind {path} {path}; mount -o remount,bind,ro {path}")
    world.damage.callback(world.bare.run, f"umount --lazy {path}")


def _note_killed(world: FaultyHostWorld) -> None:
    for engine in ENGINES:
        world.note("killed", engine)
