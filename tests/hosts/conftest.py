"""One lab for the session, and one machine in it, which is bare until the first test has brought something there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from enginehouse.connectors.ssh.settings import CONFIG_VARIABLE
from tests.hosts.lab import Lab, Machine
from tests.hosts.lab import lab as new_lab

EQUIP = """
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -q -y --no-install-recommends curl haproxy socat supervisor
systemctl disable -q --now haproxy supervisor
truncate -s 192M /disk.img
mkfs.ext4 -q /disk.img
mkdir -m 700 /var/lib/enginehouse
echo /disk.img /var/lib/enginehouse ext4 loop 0 0 >>/etc/fstab
rm /etc/ssh/ssh_host_*
: >/etc/machine-id
"""


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    with new_lab() as made, pytest.MonkeyPatch.context() as patch:
        patch.setenv(CONFIG_VARIABLE, str(made.client.config))
        yield made


@pytest.fixture(scope="session")
def shared_machine(lab: Lab) -> Iterator[Machine]:
    """`test_packages` needs it bare, and is the first in order; others take it as they find it, without a stack."""
    with lab.machine("box", 1) as machine:
        yield machine


@pytest.fixture(scope="session")
def equipped(lab: Lab) -> str:
    """The image of a machine that has every program we need; our state folder there is a disk of its own."""
    with lab.machine("equipped", 9) as machine:
        machine.run(EQUIP)
        done = lab.docker("commit", machine.name, "equipped")
        assert done.returncode == 0, done.stderr.decode()
    return "equipped"
