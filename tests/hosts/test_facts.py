"""What a machine with nothing but sshd, sudo and systemd tells of itself. It stays bare."""

from __future__ import annotations

import pytest

from enginehouse.converge.inventory import take
from enginehouse.converge.preflight import preflight
from enginehouse.planner.needs import needs_of
from tests.hosts.lab import Machine
from tests.hosts.world import host_world

pytestmark = pytest.mark.hosts


def test_a_bare_machine_tells_what_it_is_and_stays_bare(bare_machine: Machine) -> None:
    """As root by sudo, so every port has its owner and its unit; and it could carry the stack."""
    with host_world(bare_machine) as world:
        host, context = world.plan().hosts[0], world.context()
        found = take(host, context)
        wrong = [str(check) for check in preflight(host, context, needs_of(world.plan(), host.name)) if not check.ok]
    assert wrong == []
    assert (found.user.root, found.system.distribution, found.clock_off_s) == (True, "debian", 0)
    assert found.systemd is not None
    assert found.systemd.state == "running"
    sshd = found.listening(22)
    assert sshd is not None
    assert (sshd.command, sshd.unit) == ("sshd", "ssh.service")
    assert bare_machine.run("ls /var/lib").count("enginehouse") == 0
