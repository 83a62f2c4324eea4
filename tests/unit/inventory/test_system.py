"""Operating system, processor, memory, disk, clock and runtimes, also where something is missing."""

from __future__ import annotations

import pytest

from enginehouse.inventory import read
from enginehouse.inventory.answers import BadProbe
from enginehouse.inventory.model import Cpu, Disk, Inventory, Memory, Runtime, System, Systemd
from tests.unit.inventory.captures import answer, captured, inventory


def test_a_machine_that_tells_nothing_has_an_inventory() -> None:
    found = inventory()
    assert (found.memory, found.disk, found.systemd, found.secure_boot) == (None, None, None, None)
    assert (found.cpu, found.runtimes, found.ports, found.clock_off_s) == (Cpu(), (), (), 0)
    assert (found.user.name, found.user.root) == ("ada", False)


def test_what_is_no_answer_is_refused() -> None:
    with pytest.raises(BadProbe):
        read("Last login: Mon\n", asked_at=0, answered_at=0)


def test_a_login_banner_is_not_in_the_way() -> None:
    assert read(f"Welcome!\n{answer()}", asked_at=1000, answered_at=1000).user.name == "ada"


@pytest.mark.parametrize(
    ("capabilities", "lowest"),
    [
        ("", 1024),
        ("/usr/sbin/haproxy cap_net_bind_service=ep\n", 0),
        ("/usr/sbin/haproxy cap_net_bind_service,cap_net_raw=eip\n", 0),
        ("/usr/sbin/haproxy = cap_net_bind_service+ep\n", 0),
        ("/usr/sbin/haproxy cap_net_bind_service=p\n", 1024),
        ("/opt/cap_net_bind_service=ep/haproxy cap_net_raw=ep\n", 1024),
    ],
)
def test_haproxy_may_have_the_right_to_listen_on_low_ports(capabilities: str, lowest: int) -> None:
    """A right that it would first have to ask for is none; the signs are those of libcap 2.66, and of 2.25."""
    assert inventory(lowest_port="1024\n", capabilities=capabilities).user.lowest_port == lowest


def test_os_release_is_written_as_for_a_shell() -> None:
    release = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID=\'12\'\nBROKEN="\n'
    assert inventory(os_release=release).system == System(
        name="Debian GNU/Linux 12 (bookworm)",
        distribution="debian",
        version="12",
        kernel="6.1.0",
        architecture="x86_64",
    )


def test_a_processor_without_a_name_has_features() -> None:
    """As on ARM servers, where firmware may name the machine."""
    arm = "processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd i8mm\nCPU implementer\t: 0x41\n"
    found = inventory(cpu=arm, threads="72\n", board="NVIDIA DGX Spark").cpu
    assert found == Cpu(model="", threads=72, flags=("fp", "asimd", "i8mm"), board="NVIDIA DGX Spark")


def test_memory_and_disk_in_mib() -> None:
    """busybox aligns `df` differently, and a mount point may hold blanks."""
    df = "Filesystem           1024-blocks    Used Available Capacity Mounted on\n/dev/vda 2048 1024 1024  50% /a b\n"
    found = inventory(memory="MemTotal: 4096 kB\nMemAvailable: 1024 kB\n", disk=df)
    assert found.memory == Memory(total_mib=4, available_mib=1)
    assert found.disk == Disk(folder="/s", device="/dev/vda", mount="/a b", size_mib=2, free_mib=1)


def test_a_disk_that_df_does_not_know_is_none() -> None:
    assert inventory(disk="df: /x: can't find mount point\n").disk is None


@pytest.mark.parametrize(("values", "expected"), [("  6   0   0   0   1\n", True), (" 6 0 0 0 0\n", False)])
def test_secure_boot_is_the_last_byte(values: str, expected: bool) -> None:
    assert inventory(secure_boot=values).secure_boot is expected


def test_systemd_tells_its_state_with_a_code_that_is_no_error() -> None:
    """`is-system-running` ends with 1 when a unit failed."""
    found = inventory(systemd="systemd 252 (252.39-1~deb12u1)\n+PAM\nexit 0\n", systemd_state="degraded\nexit 1\n")
    assert found.systemd == Systemd(version="252", state="degraded")


def test_a_container_program_and_its_daemon() -> None:
    found = inventory(
        runtime__docker="Docker version 29.4.0, build 9d7ad9f\nexit 0\n",
        runtime__podman="podman version 5.4.2\nexit 0\n",
        docker_server=captured("runtimes/docker-version.txt", 0),
    )
    runtimes = (Runtime(name="docker", version="29.4.0", daemon="29.4.0"), Runtime(name="podman", version="5.4.2"))
    assert found.runtimes == runtimes
    toolkit = inventory(**{"runtime.nvidia-ctk": captured("runtimes/nvidia-ctk.txt", 0)})
    assert toolkit.runtimes == (Runtime(name="nvidia-ctk", version="1.14.3"),)


@pytest.mark.parametrize(
    ("said", "daemon"),
    [
        (
            "Client:\n Version: 1\nCannot connect to the Docker daemon.\nexit 1\n",
            "Cannot connect to the Docker daemon.",
        ),
        ("Client:\n", "does not answer"),
    ],
)
def test_a_daemon_that_is_not_there_is_said(said: str, daemon: str) -> None:
    (runtime,) = inventory(runtime__docker="Docker version 1.2\nexit 0\n", docker_server=said).runtimes
    assert runtime.daemon == daemon


@pytest.mark.parametrize(
    ("told", "off_s"),
    [("1000", 0), ("999", 0), ("1010", 0), ("1071", 61), ("938", -61), ("", None)],
)
def test_a_clock_is_off_only_as_far_as_is_sure(told: str, off_s: int | None) -> None:
    """It told the time somewhere between question and answer, here 1000 and 1010."""
    assert inventory(clock=told, asked_at=1000, answered_at=1010).clock_off_s == off_s


def found_ports(**values: str) -> list[tuple[int, tuple[str, ...], str]]:
    machine: Inventory = inventory(**values)
    return [(port.port, port.addresses, str(port)) for port in machine.ports]


def test_ports_have_addresses_and_owners() -> None:
    """One on both families and of several processes is one; one of another user has no name."""
    container = f"/system.slice/docker-{'a1' * 32}.scope"
    assert found_ports(
        ports=(
            "0100007F:1F90 11\n00000000000000000000000001000000:1F90 12\n"
            "00000000:0016 13\n0000000000000000FFFF00000100007F:0050 14\n"
        ),
        port_owners=(
            f"11\t7\thaproxy\t/system.slice/haproxy.service\n11\t8\thaproxy\t/system.slice/haproxy.service\n"
            f"12\t7\thaproxy\t/system.slice/haproxy.service\n14\t9\tnginx\t{container}\n"
        ),
    ) == [
        (22, ("0.0.0.0",), "a process of another user"),
        (80, ("127.0.0.1",), "nginx (process 9, container a1a1a1a1a1a1)"),
        (8080, ("127.0.0.1", "::1"), "haproxy (process 8, haproxy.service)"),
    ]
