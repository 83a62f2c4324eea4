"""One lab for the session, the images of its machines, and machines that tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from enginehouse.connectors.ssh.settings import CONFIG_VARIABLE
from tests.hosts.faulty import be_impatient
from tests.hosts.lab import IMAGE, Lab, Machine
from tests.hosts.lab import lab as new_lab

INSTALL = """
export DEBIAN_FRONTEND=noninteractive
apt-get update -q -o Acquire::Retries=5
apt-get install -q -y -o Acquire::Retries=5 --no-install-recommends curl haproxy socat supervisor
systemctl disable -q --now haproxy supervisor
"""
DISK = """
truncate -s 192M /disk.img
mkfs.ext4 -q /disk.img
mkdir -m 700 /var/lib/enginehouse
echo /disk.img /var/lib/enginehouse ext4 loop 0 0 >>/etc/fstab
"""
DOCKER = """
export DEBIAN_FRONTEND=noninteractive
systemctl mask -q docker.service docker.socket
apt-get update -q -o Acquire::Retries=5
apt-get install -q -y -o Acquire::Retries=5 --no-install-recommends docker.io
systemctl unmask -q docker.service docker.socket
"""
ANEW = """
rm /etc/ssh/ssh_host_*
: >/etc/machine-id
"""
"""For each machine of an image its own host key and machine id."""


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    with new_lab() as made, pytest.MonkeyPatch.context() as patch:
        patch.setenv(CONFIG_VARIABLE, str(made.client.config))
        yield made


@pytest.fixture(scope="module")
def bare_machine(lab: Lab) -> Iterator[Machine]:
    """One with sshd and nothing that we need, for the tests of one file."""
    with lab.machine("bare", 1) as machine:
        yield machine


@pytest.fixture(scope="session")
def shared_machine(lab: Lab, installed: str) -> Iterator[Machine]:
    """One with every program we need; each test takes it as it finds it, without a stack."""
    with lab.machine("box", 7, image=installed) as machine:
        yield machine


@pytest.fixture(scope="session")
def installed(lab: Lab) -> str:
    """The image of a machine that has every program we need, and nothing of ours."""
    return _image(lab, "installed", INSTALL + ANEW, of=IMAGE)


@pytest.fixture(scope="session")
def equipped(lab: Lab, installed: str) -> str:
    """The same where our state folder is a small disk of its own."""
    return _image(lab, "equipped", DISK + ANEW, of=installed)


@pytest.fixture(scope="session")
def with_docker(lab: Lab, equipped: str) -> str:
    """The same with Docker, which does not run yet."""
    return _image(lab, "with-docker", DOCKER + ANEW, of=equipped)


@pytest.fixture(scope="module")
def impatient() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        be_impatient(patch.setattr)
        yield


def _image(lab: Lab, name: str, script: str, *, of: str) -> str:
    with lab.machine(name, 9, image=of) as machine:
        machine.run(script)
        done = lab.docker("commit", machine.name, name)
        assert done.returncode == 0, done.stderr.decode()
    return name
