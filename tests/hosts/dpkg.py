"""An end of dpkg in the middle of its work, and another package manager at work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.hosts.lab import Machine

_KILLER = """\
#!/bin/sh
while read -r line; do
    case $line in
        *PACKAGE*half-installed*) kill -9 $(grep -lxE 'apt-get|dpkg' /proc/[0-9]*/comm | cut -d / -f 3) ;;
    esac
done
"""
_HOLDER = """\
import fcntl, time
file = open("/var/lib/dpkg/lock-frontend", "w")
fcntl.lockf(file, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(600)
"""
_HOLD = """
rm -f /run/held
python3 /opt/holder.py >/run/held 2>&1 </dev/null &
echo $! >/run/holder
until [ -s /run/held ]; do sleep 0.1; done
"""
"""It keeps nothing open that whoever started it waits for."""
WAITS = "waiting for another package manager"


@contextmanager
def locked(machine: Machine) -> Iterator[Callable[[str], None]]:
    """Another package manager works until what is given has heard from a run that it waits.

    Raises `AssertionError` at its end if that was never said.
    """
    machine.put("/opt/holder.py", _HOLDER.encode())
    machine.run(_HOLD)
    waited: list[str] = []

    def hear(text: str) -> None:
        if WAITS in text and not waited:
            waited.append(text)
            machine.run("kill $(cat /run/holder)")

    try:
        yield hear
        assert waited, "nobody waited for the other package manager"
    finally:
        if not waited:
            machine.run("kill $(cat /run/holder)")
        machine.run("rm /opt/holder.py")


@contextmanager
def ends_unpacking(machine: Machine, package: str = "") -> Iterator[None]:
    """dpkg tells it what it does, and is ended by it, with apt, when it unpacks the package, or any at all."""
    machine.put("/opt/killer", _KILLER.replace("PACKAGE", package).encode())
    machine.put("/etc/dpkg/dpkg.cfg.d/killer", b"status-logger=/opt/killer\n", 0o644)
    try:
        yield
    finally:
        machine.run("rm /etc/dpkg/dpkg.cfg.d/killer /opt/killer")
