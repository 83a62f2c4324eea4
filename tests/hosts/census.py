"""What is on a machine and not ours, and what a run that is over must not leave there."""

from __future__ import annotations

import time
from collections.abc import Collection

from tests.hosts.lab import Machine

STATE = "/var/lib/enginehouse"
ENDS_S = 60.0
"""What a dead run left is ended by its keepers, a second or two after they have noticed."""
UNIT = """\
[Service]
ExecStart=/usr/bin/python3 -m http.server 9100 --bind 127.0.0.1 --directory /srv
[Install]
WantedBy=multi-user.target
"""
_FILES = rf"""
find /etc /home /opt /root /srv /usr/local {STATE}/others -xdev \( -type f -o -type l \) \
    ! -path '/etc/systemd/system/*enginehouse-*' ! -path /etc/hosts ! -path /etc/hostname ! -path /etc/resolv.conf \
    -printf '%p %m %u %s %T@\n' | sort
ls -A /tmp | grep -v '^systemd-private' || :
systemctl is-active others || :
systemctl is-enabled others || :
"""
_PORTS = """
sed 1d /proc/net/tcp /proc/net/tcp6 | while read -r number mine other state rest; do
    case $state-$mine in 0A-0B00007F:*) ;; 0A-*) echo $mine ;; esac
done
"""
"""Where somebody listens; Docker's own name server in a container (127.0.0.11) takes another port with each boot."""
_LEFT = rf"""
grep -lsa '[w]atched=' /proc/[0-9]*/cmdline || :
find {STATE} -path {STATE}/others -prune -o \( -name '*.new' -o -name lease.note -o -name installing \) -print
"""


def settle(machine: Machine) -> None:
    """Somebody else has a service, files, a port, and a folder beside our stacks there."""
    machine.put("/etc/systemd/system/others.service", UNIT.encode(), 0o644)
    machine.run("systemctl daemon-reload; systemctl enable -q --now others")
    machine.run(f"mkdir -p {STATE}/others; echo theirs >{STATE}/others/manifest.json; echo theirs >/etc/others.conf")


def others(machine: Machine, our_ports: Collection[int]) -> tuple[str, ...]:
    """Files with owner, mode, size and time; the service; who listens. Ours are left out."""
    ports = {int(line.rpartition(":")[2], 16) for line in machine.run(_PORTS).split()}
    return (*machine.run(_FILES).splitlines(), *(f"port {port}" for port in sorted(ports - set(our_ports))))


def assert_untouched(machine: Machine, our_ports: Collection[int], before: tuple[str, ...]) -> None:
    """`others` says the same; what of them starts at boot may need a moment."""
    until = time.monotonic() + ENDS_S
    while (now := others(machine, our_ports)) != before:
        assert time.monotonic() < until, set(now) ^ set(before)
        time.sleep(0.2)


def assert_nothing_left(machine: Machine, *, litters: bool = False) -> None:
    """No shell of ours, no file that is half written, no lease and no mark of what is not over.

    With `litters` such a file may be there: it is written anew when it is needed.
    """
    until = time.monotonic() + ENDS_S
    while left := [thing for thing in machine.run(_LEFT).split() if not (litters and thing.endswith(".new"))]:
        assert time.monotonic() < until, left
        time.sleep(0.2)
