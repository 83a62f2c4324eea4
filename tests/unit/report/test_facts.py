"""Machines as blocks and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from enginehouse.report.facts import MachineFacts, facts_plain, facts_text
from enginehouse.report.lines import as_text
from tests.unit.inventory.captures import captured, inventory

RACK = inventory(
    os_release='PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
    kernel="6.1.0-28-amd64 x86_64\n",
    root="0\n",
    cpu="model name\t: AMD EPYC 9534 64-Core Processor\nflags\t\t: fpu avx avx2 fma f16c avx512f\n",
    threads="128\n",
    memory="MemTotal: 263913480 kB\nMemAvailable: 258000000 kB\n",
    disk="Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/nvme0n1p2 1920000000 1 1800000000 7% /\n",
    systemd="systemd 252\nexit 0\n",
    systemd_state="running\nexit 0\n",
    secure_boot=" 6 0 0 0 0\n",
    nvidia_module="NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  590.48.01  Release Build\n",
    gpus=captured("h100-mig/query-gpu.csv", 0),
    gpu_processes=captured("h100-mig/query-compute-apps.csv", 0),
    gpu_list=captured("h100-mig/list.txt", 0),
    cuda=captured("h100-mig/q.txt", 0),
    runtime__docker="Docker version 29.4.0, build 9d7ad9f\nexit 0\n",
    docker_server="Cannot connect to the Docker daemon at unix:///var/run/docker.sock.\nexit 1\n",
    ports="00000000:0016 1\n0100007F:1F90 2\n",
    port_owners="2\t71\thaproxy\t/system.slice/haproxy.service\n",
    clock="1412\n",
)
SPARK = inventory(
    os_release='PRETTY_NAME="Ubuntu 24.04.3 LTS"\n',
    kernel="6.11.0-1016-nvidia aarch64\n",
    cpu="Features\t: fp asimd i8mm\n",
    threads="20\n",
    board="NVIDIA DGX Spark",
    gpus="index, uuid, name, memory.total [MiB], compute_cap\n0, GPU-1, NVIDIA GB10, [N/A], 12.1\nexit 0\n",
)
MACHINES = (
    MachineFacts(host="rack-1", address="10.1.0.11", facts=RACK),
    MachineFacts(host="spark-1", address="10.1.0.12", facts=SPARK),
    MachineFacts(host="gone", address="10.1.0.13", facts=None, problem=("gone: 10.1.0.13 does not answer",)),
)


def test_a_block_a_machine(golden: Callable[[str, Mapping[str, str]], None]) -> None:
    """All that a machine may have, one that has little, and one that does not answer."""
    golden("cli/facts", {"three.txt": as_text(facts_text(MACHINES))})


def test_json_has_everything() -> None:
    plain = json.loads(json.dumps(facts_plain("rack", MACHINES)))
    assert [machine["host"] for machine in plain["machines"]] == ["rack-1", "spark-1", "gone"]
    assert plain["machines"][0]["facts"]["cpu"]["flags"] == ["fpu", "avx", "avx2", "fma", "f16c", "avx512f"]
    assert plain["machines"][0]["facts"]["graphics"]["gpus"][0]["processes"][2]["pid"] == 21198
    assert plain["machines"][2]["facts"] is None
