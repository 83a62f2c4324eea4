"""systemd keeps a stack's supervisor: what runs comes back after a reboot, without anybody doing anything."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.hosts.lab import Machine
from tests.hosts.world import HostWorld, host_world

pytestmark = pytest.mark.hosts

SOON_S = 240.0


@pytest.fixture(scope="module")
def up(shared_machine: Machine) -> Iterator[HostWorld]:
    """A stack that is up."""
    with host_world(shared_machine) as world:
        world.install_standin()
        world.up()
        yield world


def unit(world: HostWorld) -> str:
    return world.bare.run("cd /etc/systemd/system; ls enginehouse-*.service").strip()


def drift(world: HostWorld) -> object:
    observed = world.observe(world.plan().hosts[0])
    assert observed is not None
    return observed.inputs.get("drift")


def test_the_supervisor_runs_in_a_unit_of_its_stack(up: HostWorld) -> None:
    """systemd finds nothing to complain about, and everything of the stack is in it."""
    name = unit(up)
    assert name.startswith(f"enginehouse-{up.stack}-")
    assert up.bare.run(f"systemctl is-active {name}; systemctl is-enabled {name}") == "active\nenabled\n"
    assert up.bare.run(f"systemd-analyze verify {name} 2>&1") == ""
    inside = up.bare.run(f"systemd-cgls --no-pager -u {name}")
    assert all(word in inside for word in ("supervisord", "haproxy", "standin.py", "watchdog.sh"))


def test_a_reboot_brings_everything_back(up: HostWorld) -> None:
    """The endpoint serves, and the next `up` finds nothing to do."""
    up.bare.reboot()
    serves(up)
    up.connector.runs = up.connector.holds = 0
    up.up()
    assert (up.connector.runs, up.connector.holds) == (len(up.plan().parts()), 0), up.texts()


def test_no_request_reaches_an_engine_that_is_still_loading_after_a_reboot(up: HostWorld) -> None:
    """Its server was ready before; now it has to pass its check first, and requests wait for it."""
    up.write_model({"load_s": 4})
    up.settings["timeouts"] = {"queue_s": int(SOON_S)}
    up.up()
    up.bare.reboot()
    serves(up, all_along=True)
    up.write_model({})
    up.settings["timeouts"] = {}
    up.up()


def test_a_supervisor_that_is_killed_is_started_again(up: HostWorld) -> None:
    """By systemd, which also ends what it had started."""
    look = f"systemctl show -p MainPID --value {unit(up)}"
    before = up.bare.run(look)
    up.bare.run(f"kill -9 {before}")
    up.wait_until(lambda: up.bare.run(look) not in (before, "0\n"))
    serves(up)
    up.up()
    assert drift(up) is None


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ("rm /etc/systemd/system/{unit}", "missing on the machine"),
        ("echo '# mine' >>/etc/systemd/system/{unit}", "edited on the machine"),
        ("systemctl disable -q {unit}", "not started at boot"),
        (
            "cd /etc/systemd/system; mkdir {unit}.d; printf '[Service]\nNice=5\n' >{unit}.d/nice.conf",
            "changed by /etc/systemd/system/{unit}.d/nice.conf",
        ),
        (
            "systemctl set-property {unit} CPUWeight=50",
            "changed by /etc/systemd/system.control/{unit}.d/50-CPUWeight.conf",
        ),
    ],
)
def test_a_unit_that_is_altered_is_drift_and_healed(up: HostWorld, damage: str, told: str) -> None:
    """Without a restart of anything."""
    name = unit(up)
    before = up.bare.run(f"systemctl show -p MainPID {name}")
    up.bare.run(damage.format(unit=name))
    assert drift(up) == {"unit": told.format(unit=name)}
    up.up()
    assert drift(up) is None
    assert up.bare.run(f"systemctl is-enabled {name}; systemctl show -p MainPID {name}") == f"enabled\n{before}"


def test_what_was_set_aside_is_there_and_changes_nothing(up: HostWorld) -> None:
    """Also what was set aside before, under the same name."""
    name, folder = unit(up), f"/etc/systemd/system/{unit(up)}.d"
    for nice in (6, 7):
        up.bare.run(f"mkdir -p {folder}; printf '[Service]\nNice={nice}\n' >{folder}/own.conf")
        up.up()
    kept = up.bare.run(f"cd {folder}; grep -h Nice own.conf.off*")
    assert sorted(kept.split()) == ["Nice=6", "Nice=7"]
    assert up.bare.run(f"systemctl show -p Nice,CPUWeight {name}") == "CPUWeight=[not set]\nNice=0\n"


def test_what_is_meant_for_all_units_is_left_alone(up: HostWorld) -> None:
    """Twin: a machine's own rules for every unit of ours, or for all there are, are no drift."""
    file = "/etc/systemd/system/enginehouse-.service.d/own.conf"
    up.bare.run(f"mkdir {file.rpartition('/')[0]}; printf '[Service]\nNice=5\n' >{file}; systemctl daemon-reload")
    assert up.bare.run(f"systemctl show -p Nice {unit(up)}") == "Nice=5\n"
    assert drift(up) is None
    up.up()
    assert up.bare.holds(f"ls {file}")
    up.bare.run(f"rm -r {file.rpartition('/')[0]}; systemctl daemon-reload")


def test_destroy_takes_the_unit_away(up: HostWorld) -> None:
    """Nothing runs, and nothing starts at boot."""
    name = unit(up)
    up.down()
    assert not up.bare.holds(
        f"ls /etc/systemd/system/{name} || ls /etc/systemd/system/*/{name} || systemctl cat {name}"
    )
    assert not up.bare.holds("grep -lsza ^ENGINEHOUSE_PROGRAM= /proc/[0-9]*/environ | grep .")


def serves(world: HostWorld, *, all_along: bool = False) -> None:
    """Until the endpoint answers. `all_along`: nothing but an answer is given once somebody listens."""
    world.another_run()
    until = time.monotonic() + SOON_S
    while (answer := world.ask())[0] != 200 or world.heals():
        assert time.monotonic() < until, world.bare.run(f"journalctl --no-pager -n 30 -u {unit(world)}")
        assert not all_along or answer[0] in (0, 200), answer
        time.sleep(0.2)
