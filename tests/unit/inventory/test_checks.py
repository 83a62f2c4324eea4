"""Whether a machine can carry a stack."""

from __future__ import annotations

from typing import Any

import pytest

from enginehouse.inventory.checks import Check, Weight, checks
from enginehouse.planner.needs import Needs
from tests.unit.inventory.captures import inventory

NEEDS = Needs(ports={"gateway-box": (8080, 31000)}, memory_mib=1024, weights={"@{state}/w": "upload://w.gguf"})
GOOD = {
    "memory": "MemTotal: 4194304 kB\n",
    "disk": "F B U A C M\n/dev/vda 9000000 1 8000000 1% /\n",
}
WEIGHTS = {"@{state}/w": Weight(size_mib=2048, missing_mib=2048)}
SSHD = {"ports": "00000000:1F90 7\n", "port_owners": "7\t42\tnginx\t/system.slice/nginx.service\t\n"}


def asked(weights: Any = WEIGHTS, **values: str) -> dict[str, Check]:
    return {check.what: check for check in checks("demo", NEEDS, inventory(**{**GOOD, **values}), weights)}


def test_a_good_machine_passes_and_shows_what_it_has() -> None:
    found = asked()
    assert {what: check.found for what, check in found.items()} == {
        "architecture": "x86_64",
        "clock": "right",
        "memory": "4.0 GiB",
        "disk": "7.6 GiB free for /s",
        "port 8080": "free",
        "port 31000": "free",
    }
    assert all(check.ok for check in found.values())


@pytest.mark.parametrize(
    ("values", "what", "found"),
    [
        ({"kernel": "6.1.0 riscv64\n"}, "architecture", "riscv64"),
        ({"clock": "1062"}, "clock", "61 s ahead"),
        ({"clock": "938"}, "clock", "61 s behind"),
        ({"clock": ""}, "clock", "does not tell the time"),
        ({"memory": "MemTotal: 2097152 kB\n"}, "memory", "2.0 GiB"),
        ({"disk": "F B U A C M\n/dev/vda 9 1 2000000 1% /\n"}, "disk", "1.9 GiB free for /s"),
        (SSHD, "port 8080", "in use by nginx (process 42, nginx.service)"),
        ({"ports": "00000000:1F90 7\n"}, "port 8080", "in use by a process of another user"),
    ],
)
def test_each_way_to_be_unfit_is_told_and_nothing_else(values: dict[str, str], what: str, found: str) -> None:
    wrong = [check for check in asked(**values).values() if not check.ok]
    assert [(check.what, check.found) for check in wrong] == [(what, found)]
    assert str(wrong[0]).startswith(f"{what}: {found}; needed: ")


def test_a_clock_may_be_off_by_a_minute() -> None:
    """The twin of the clock that is off by one second more."""
    assert asked(clock="1061")["clock"].ok


def test_what_is_there_already_needs_no_room() -> None:
    small = "F B U A C M\n/dev/vda 9 1 100000 1% /\n"
    assert asked({"@{state}/w": Weight(size_mib=2048, missing_mib=0)}, disk=small)["disk"].ok


def test_a_port_of_the_stacks_own_program_is_no_clash() -> None:
    """One of another stack is, and names it."""
    mine, other = (f"7\t42\thaproxy\t/\t{stack}/gateway-box/gateway\n" for stack in ("demo", "shop"))
    ports = "0100007F:1F90 7\n"
    assert asked(ports=ports, port_owners=mine)["port 8080"].found == "in use by this stack"
    clash = asked(ports=ports, port_owners=other)["port 8080"]
    assert (clash.ok, clash.found) == (False, "in use by haproxy (process 42, shop/gateway-box/gateway)")
