"""Programs that a bare machine lacks come from its distribution's packages, and nothing else changes on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from enginehouse.converge import foresee
from enginehouse.converge.steps import Effect
from enginehouse.errors import ConvergeFailed
from tests.hosts.dpkg import ends_unpacking, locked
from tests.hosts.lab import Machine
from tests.hosts.world import HostWorld, host_world

pytestmark = pytest.mark.hosts

MARK = "/var/lib/enginehouse/host/installing"
PACKAGES = "curl, haproxy, socat, supervisor"


@pytest.fixture(scope="module")
def world(bare_machine: Machine) -> Iterator[HostWorld]:
    with host_world(bare_machine) as made:
        made.install_standin()
        yield made


def test_a_preview_of_a_bare_machine_says_what_is_installed(world: HostWorld) -> None:
    """Each package by name, and what begins when it is there; nothing is changed."""
    host, gateway = (foresee(part, world.context()) for part in (world.plan().hosts[0], world.gateway()))
    assert str(host).startswith(f"start: installing {PACKAGES} from the distribution's packages")
    assert gateway.effect is Effect.START
    assert not world.bare.holds("ls /var/lib/enginehouse")


def test_without_root_it_is_said_how_to_become_it(world: HostWorld) -> None:
    """And every missing program is named."""
    with host_world(world.bare, user="ops") as ours:
        said = foresee(ours.plan().hosts[0], ours.context())
    assert said.effect is Effect.FAILS
    assert "haproxy (at least 2.6) is not on the PATH" in said.reason
    assert said.reason.endswith("`become: sudo` in the stack file would let Enginehouse install them")


def test_packages_that_are_too_old_are_refused_before_anything_is_installed(world: HostWorld) -> None:
    """One sentence with both versions."""
    host = world.plan().hosts[0]
    with pytest.raises(ConvergeFailed) as failure:
        world.converge(replace(host, tools={**host.tools, "haproxy": "99.0"}))
    (reason,) = failure.value.reasons
    assert reason.startswith("the machine's package sources have haproxy 2.6.")
    assert reason.endswith("at least 99.0 is needed; install a newer one by hand")
    assert not world.bare.holds(f"command -v curl || ls {MARK}")


def test_an_installation_that_is_cut_off_is_finished_by_the_next_run(world: HostWorld) -> None:
    """dpkg is killed while it unpacks. The next `up` heals that, and no service of a package runs or ever will."""
    with ends_unpacking(world.bare), pytest.raises(ConvergeFailed, match="installing"):
        world.up()
    assert world.bare.holds(f"cat {MARK} && dpkg --audit | grep .")
    world.up()
    assert [world.ask(key="wrong")[0], world.ask()[0]] == [401, 200]
    assert not world.bare.holds(f"ls {MARK}*")
    for service in ("haproxy", "supervisor"):
        assert not world.bare.holds(f"systemctl is-active {service}")
        assert world.bare.run(f"systemctl is-enabled {service} || :") == "disabled\n"


def test_a_second_up_looks_once_at_each_part(world: HostWorld) -> None:
    """Nothing is asked of the package manager."""
    world.connector.runs = world.connector.holds = 0
    world.up()
    assert (world.connector.runs, world.connector.holds) == (len(world.plan().parts()), 0)


def test_a_service_that_was_there_goes_on_and_another_package_manager_is_waited_for(world: HostWorld) -> None:
    """Somebody's own socat.service stays enabled and running while the package of that name is installed."""
    bare = world.bare
    bare.run("apt-get purge -q -y socat")
    unit = "[Service]\nExecStart=/bin/sleep 1000\n[Install]\nWantedBy=multi-user.target\n"
    bare.put("/etc/systemd/system/socat.service", unit.encode(), 0o644)
    bare.run("systemctl daemon-reload; systemctl enable -q --now socat")
    before = bare.run("systemctl show -p MainPID socat")
    with locked(bare) as waited:
        world.on_event = lambda event: waited(event.text)
        world.up()
    world.on_event = lambda event: None
    assert bare.holds("command -v socat")
    assert bare.run("systemctl show -p MainPID socat") == before
    assert bare.run("systemctl is-enabled socat") == "enabled\n"
    world.down()
    bare.run("systemctl disable -q --now socat; rm /etc/systemd/system/socat.service; systemctl daemon-reload")
