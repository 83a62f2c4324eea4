"""An end of dpkg in the middle of its work."""

from __future__ import annotations

from collections.abc import Iterator
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


@contextmanager
def ends_unpacking(machine: Machine, package: str = "") -> Iterator[None]:
    """dpkg tells it what it does, and is ended by it, with apt, when it unpacks the package, or any at all."""
    machine.put("/opt/killer", _KILLER.replace("PACKAGE", package).encode())
    machine.put("/etc/dpkg/dpkg.cfg.d/killer", b"status-logger=/opt/killer\n", 0o644)
    try:
        yield
    finally:
        machine.run("rm /etc/dpkg/dpkg.cfg.d/killer /opt/killer")
