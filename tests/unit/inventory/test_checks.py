"""Whether a machine can carry a stack."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from enginehouse.inventory.checks import Check, Weight, checks
from enginehouse.planner.hardware import Gpus
from enginehouse.planner.needs import Needs
from enginehouse.planner.parts import Connection, ConnectionKind, HostPart
from tests.unit.inventory.captures import captured, inventory

NEEDS = Needs(ports={"gateway-box": (8080, 31000)}, weights={"@{state}/w": "upload://w.gguf"})
HOST = HostPart(name="box", stack="demo", host="box", connection=Connection(kind=ConnectionKind.LOCAL), tools={})
GOOD = {
    "memory": "MemTotal: 4194304 kB\n",
    "disk": "F B U A C M\n/dev/vda 9000000 1 8000000 1% /\n",
}
WEIGHTS = {"@{state}/w": Weight(size_mib=2048, missing_mib=2048)}
SSHD = {"ports": "00000000:1F90 7\n", "port_owners": "7\t42\tnginx\t/system.slice/nginx.service\t\n"}


def asked(weights: Any = WEIGHTS, host: HostPart = HOST, **values: str) -> dict[str, Check]:
    return {check.what: check for check in checks(host, NEEDS, inventory(**{**GOOD, **values}), weights)}


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
        ({"memory": "MemTotal: 1572864 kB\n"}, "memory", "1.5 GiB"),
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


IMAGES = {"images": "/var/lib/docker", "manifests": f"{captured('images/two-platforms.json')}exit 0\n"}


def test_images_need_room_beside_weights_on_the_same_disk() -> None:
    """2048 MiB of weights, 64 for releases and 95 of images; the twin has one less."""
    for free_kib, ok in ((2207 << 10, True), (2206 << 10, False)):
        disk = f"F B U A C M\n/dev/vda 9000000 1 {free_kib} 1% /\n"
        found = asked(**IMAGES, disk=disk, images_disk=disk)
        assert found["disk"].ok == ok
        assert found["disk"].needed.endswith("GiB, 0.1 GiB of it for images, packed")
        assert "images" not in found


def test_images_need_room_on_a_disk_of_their_own() -> None:
    for free_kib, ok in ((95 << 10, True), (94 << 10, False)):
        found = asked(**IMAGES, images_disk=f"F B U A C M\n/dev/vdb 9000000 1 {free_kib} 1% /var/lib/docker\n")
        assert (found["images"].ok, found["images"].needed) == (ok, "at least 0.1 GiB, packed")
        assert found["disk"].ok


def test_a_port_of_the_stacks_own_program_is_no_clash() -> None:
    """One of another stack is, and names it."""
    mine, other = (f"7\t42\thaproxy\t/\t{stack}/gateway-box/gateway\n" for stack in ("demo", "shop"))
    ports = "0100007F:1F90 7\n"
    assert asked(ports=ports, port_owners=mine)["port 8080"].found == "in use by this stack"
    clash = asked(ports=ports, port_owners=other)["port 8080"]
    assert (clash.ok, clash.found) == (False, "in use by haproxy (process 42, shop/gateway-box/gateway)")


def with_gpus(model: str, count: int, **values: str) -> dict[str, Check]:
    return asked(host=replace(HOST, gpus=Gpus(model=model, count=count)), **values)


H100 = {"gpus": captured("h100-mig/query-gpu.csv", 0)}


def test_declared_gpus_that_are_there_and_free_pass() -> None:
    found = with_gpus("h100-sxm", 1, **H100)
    assert found["gpus"].found == "1 x NVIDIA H100 80GB HBM3"
    assert found["gpu 0"].found == "free"
    assert all(check.ok for check in found.values())


@pytest.mark.parametrize(
    ("model", "count", "values", "found"),
    [
        ("h100-sxm", 8, H100, "1 x NVIDIA H100 80GB HBM3"),
        ("h100-pcie", 1, H100, "1 x NVIDIA H100 80GB HBM3"),
        ("h100-sxm", 1, {}, "none"),
        (
            "h100-sxm",
            1,
            {"gpus": captured("failures/no-devices.txt", 6), "pci": "0000:01:00.0 0x10de 0x2330 nvidia\n"},
            "none; No devices were found",
        ),
        (
            "h100-sxm",
            1,
            {"pci": "0000:01:00.0 0x10de 0x2330 nouveau\n"},
            "none; there is an NVIDIA device, but no nvidia-smi; the kernel's driver for it is nouveau",
        ),
    ],
)
def test_what_is_there_instead_is_named(model: str, count: int, values: dict[str, str], found: str) -> None:
    check = with_gpus(model, count, **values)["gpus"]
    assert (check.ok, check.found) == (False, found)
    assert check.needed.startswith(f"{count} x {model} (")


def test_a_busy_gpu_names_who_computes_on_it() -> None:
    """Unless that is the stack itself, by the mark that its programs carry."""
    users = {"gpu_processes": captured("h100-mig/query-compute-apps.csv", 0)}
    busy = with_gpus("h100-sxm", 1, **H100, **users)["gpu 0"]
    assert (busy.ok, busy.found) == (False, "in use by /root/tools/memhog (process 21180, 2296 MiB) and 2 more")
    marks = "".join(f"{pid}\tdemo/chat-box-0/a\n" for pid in (21180, 21181, 21198))
    ours = with_gpus("h100-sxm", 1, **H100, **users, gpu_programs=marks)["gpu 0"]
    assert (ours.ok, ours.found) == (True, "in use by this stack")


@pytest.mark.parametrize("values", [H100, {"pci": "0000:03:00.0 0x1002 0x744c amdgpu\n"}])
def test_memory_is_not_judged_where_weights_may_go_to_a_gpu(values: dict[str, str]) -> None:
    """Declared or not; a display controller is none."""
    assert "memory" not in asked(**values)
    assert "memory" in asked(pci="0000:00:02.0 0x1234 0x1111 bochs-drm\n")


TWO = "index, uuid, name\n0, GPU-0, NVIDIA L40S\n1, GPU-1, NVIDIA L40S\nexit 0\n"
APPS = "gpu_uuid, pid, used_gpu_memory [MiB], process_name\nGPU-0, 7, 9 MiB, llama-server\nexit 0\n"


def on_second_gpu(**values: str) -> dict[str, Check]:
    """A stack whose only replica has the second of two GPUs."""
    needs = replace(NEEDS, gpus={"chat-box-0": (1,)})
    host = replace(HOST, gpus=Gpus(model="l40s", count=2))
    found = inventory(**{**GOOD, "gpus": TWO, **values})
    return {check.what: check for check in checks(host, needs, found, WEIGHTS)}


def test_what_computes_on_other_gpus_is_no_clash() -> None:
    """Another stack of ours, or anybody; on its own GPU it is one, and so is it where the stack does not say which."""
    busy = {"gpu_processes": APPS, "gpu_programs": "7\tshop/chat-box-0/a\n"}
    assert [(check.what, check.ok) for check in on_second_gpu(**busy).values() if check.what.startswith("gpu ")] == [
        ("gpu 1", True)
    ]
    found = on_second_gpu(**{**busy, "gpu_processes": APPS.replace("GPU-0", "GPU-1")})["gpu 1"]
    assert (found.ok, found.found) == (False, "in use by llama-server (process 7, 9 MiB, shop/chat-box-0/a)")
    assert not with_gpus("l40s", 2, gpus=TWO, **busy)["gpu 0"].ok


def test_what_another_stack_has_claimed_is_a_clash_also_while_it_is_idle() -> None:
    """Named with whose it is; its own claims, and those on other things, are none."""
    claims = "shop/chat-box-0\tgpu 0 GPU-1\nshop/gateway-box\tport 8080\ndemo/chat-box-0\tport 31000\n"
    wrong = [check for check in on_second_gpu(claims=claims).values() if not check.ok]
    assert [(check.what, check.found) for check in wrong] == [
        ("gpu 1", "claimed by chat-box-0 of stack shop"),
        ("port 8080", "claimed by gateway-box of stack shop"),
    ]
    assert all(check.ok for check in on_second_gpu(claims=claims.replace("shop", "demo")).values())
    assert all(check.ok for check in on_second_gpu(claims="shop/chat-box-0\tgpu 1 GPU-0\n").values())
