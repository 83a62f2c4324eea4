"""sudo with a password, the real one: it gets in, is seen by nobody, and what goes wrong is one sentence."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from enginehouse.connectors.ssh import SshConnector
from enginehouse.errors import Unreachable
from enginehouse.planner.parts import Become
from enginehouse.render.symbols import Secret
from tests.hosts.lab import Machine

pytestmark = pytest.mark.hosts

SOON_S = 120.0
PASSWORD = "p0ison 'of $(the) \"house\\"
SUDOERS = {
    "pat": "pat ALL=(ALL) ALL\n",
    "kim": "kim ALL=(ALL) ALL\nDefaults:kim requiretty\n",
    "max": "max ALL=(ALL) NOPASSWD: ALL\n",
    "eve": "",
}
"""Whom sudo asks, whom it would ask on a terminal only, whom it asks for nothing, and who may do nothing."""
SEARCH = """
cd /proc
grep -rlsF -f /opt/poison [0-9]*/cmdline [0-9]*/environ /var/log /tmp /run/log /home /root /etc || :
journalctl -q -o cat | grep -F -f /opt/poison || :
"""
"""Where the password stands. What is searched for is in a file, or the search would find itself."""


@pytest.fixture(scope="module")
def people(shared_machine: Machine) -> Iterator[Machine]:
    """Four users with one password, let in by the lab's key."""
    shared_machine.put("/opt/poison", b"p0ison\n")
    for name, rules in SUDOERS.items():
        shared_machine.run(
            f"useradd --create-home --shell /bin/bash {name}; chpasswd; mkdir /home/{name}/.ssh; "
            f"cp /root/.ssh/authorized_keys /home/{name}/.ssh/; chown -R {name}: /home/{name}/.ssh",
            stdin=f"{name}:{PASSWORD}".encode(),
        )
        shared_machine.put(f"/etc/sudoers.d/{name}", rules.encode(), 0o440)
    yield shared_machine
    for name in SUDOERS:
        shared_machine.run(
            f"rm /etc/sudoers.d/{name}; pkill -KILL -u {name} || :; userdel --force --remove {name} 2>&1"
        )


@contextlib.contextmanager
def as_user(machine: Machine, name: str, password: str = PASSWORD) -> Iterator[SshConnector]:
    ssh = machine.ssh(user=name, become=Become.SUDO, sudo_password="ops-sudo")
    connector = SshConnector("box", ssh, Secret(password))
    try:
        yield connector
    finally:
        connector.close()


@pytest.mark.parametrize("name", ["pat", "max"])
def test_scripts_run_as_root_and_get_their_own_stdin(people: Machine, name: str) -> None:
    """Also several at once, and one that is kept. Where sudo does not ask, they read nothing of the password."""
    with as_user(people, name) as connector, ThreadPoolExecutor(6) as pool:
        held = connector.hold("id -u; read -r line", deadline_s=SOON_S)
        said = pool.map(
            lambda n: connector.run("id -u; cat", stdin=[f"{n}".encode()], deadline_s=SOON_S).stdout, range(6)
        )
        assert [*said] == [f"0\n{n}" for n in range(6)]
        assert held.first_line == "0"
        held.release()


def test_the_password_is_nowhere_on_the_machine(people: Machine) -> None:
    """Not in a process list, an environment, a log or a file, while a script runs and after it."""
    with as_user(people, "pat") as connector:
        held = connector.hold("echo in; read -r line", deadline_s=SOON_S)
        assert people.run(SEARCH) == ""
        held.release()
    assert people.run(SEARCH) == ""


def test_a_password_on_a_command_line_would_be_found(people: Machine) -> None:
    """Twin: the search can fail."""
    people.run(f"sh -c 'sleep 60 & wait' {shlex.quote(PASSWORD)} >/dev/null 2>&1 & echo $! >/run/twin")
    assert "/cmdline" in people.run(SEARCH)
    people.run("kill $(cat /run/twin)")


@pytest.mark.parametrize(
    ("name", "password", "told"),
    [
        ("pat", "p0ison-wrong", "sudo does not take the password that the secret 'ops-sudo' has"),
        ("kim", PASSWORD, 'sudo did not let kim in: it said "sudo: sorry, you must have a tty to run sudo"'),
        ("eve", PASSWORD, 'sudo did not let eve in: it said "eve is not in the sudoers file.'),
    ],
)
def test_what_goes_wrong_is_one_sentence(people: Machine, name: str, password: str, told: str) -> None:
    with as_user(people, name, password) as connector, pytest.raises(Unreachable) as failure:
        connector.run("true", deadline_s=SOON_S)
    said = str(failure.value)
    assert said.startswith(f"box: {told}")
    assert f"needs a line such as `{name} ALL=(ALL) ALL`" in said
    assert "p0ison" not in said
    assert "\n" not in said


def test_a_wrong_password_counts_once(people: Machine) -> None:
    """More tries would lock the user out sooner: sudo reads no line behind the password."""
    people.run("journalctl --sync")
    before = people.run("journalctl -n 0 --show-cursor").rpartition("-- cursor: ")[2].strip()
    with as_user(people, "pat", "p0ison-wrong") as connector, pytest.raises(Unreachable):
        connector.run("true", deadline_s=SOON_S)
    told = f"journalctl -q -o cat --after-cursor={shlex.quote(before)} | grep -o '[0-9]* incorrect'"
    assert people.run(f"until {told}; do sleep 0.1; done") == "1 incorrect\n"
