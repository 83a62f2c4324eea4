"""NVIDIA's driver and container toolkit on a bare machine: from a repository like NVIDIA's, of stand-in packages."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from enginehouse.converge import foresee
from enginehouse.converge.steps import Effect
from enginehouse.errors import ConvergeFailed
from enginehouse.planner.parts import HostPart
from tests.hosts.dpkg import ends_unpacking
from tests.hosts.lab import Lab, Machine
from tests.hosts.test_packages import MARK
from tests.hosts.world import LOGIN, PORT, HostWorld
from tests.standins.nvidia_repository import CUDA, Repositories, plug_in_gpu

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(600)]

OLD, FIRST, NEXT, OTHER = "575.57.08", "580.82.07", "580.95.05", "590.44.01"
LATER, LAST = "595.10.01", "600.20.02"
DAEMON = '{"storage-driver": "vfs"}'
"""What somebody has told the machine's Docker: a container has no other storage for containers of its own."""
IMAGE = """
tar -cf - -C / bin lib lib64 usr/bin/sleep usr/lib64 usr/lib/x86_64-linux-gnu/libc.so.6 \
    usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 | docker import - theirs >/dev/null
"""
"""An image that can wait."""
ENGINE = "enginehouse-other-chat-1-a"
SUPERVISOR = f"""[Service]
ExecStart=/usr/bin/docker run --rm --network=none --label=enginehouse.program=chat --name={ENGINE} theirs sleep 10000
ExecStop=/usr/bin/docker kill {ENGINE}
Restart=always
RestartSec=0
"""
"""Stands for another stack's supervisor with an engine in a container: what is stopped alone is started again."""
ENGINE_RUNS = f"[ \"$(docker inspect --format '{{{{.State.Running}}}}' {ENGINE} 2>/dev/null)\" = true ]"
VERSION_FILE = "/proc/driver/nvidia/version"


@dataclass(kw_only=True)
class GpuWorld(HostWorld):
    """One engine in a container on a GPU; only the machine's own part is brought."""

    mirror: str
    fingerprint: str
    branch: str = "580"
    modules: str = "auto"

    def machine(self) -> Mapping[str, Any]:
        driver = {"branch": self.branch, "modules": self.modules}
        return {**super().machine(), "gpus": {"model": "l40s", "count": 1}, "driver": driver}

    def yaml(self) -> str:
        site = {
            name: {"mirror": f"{self.mirror}/{place}", "fingerprint": self.fingerprint}
            for name, place in (("nvidia_driver", "cuda"), ("nvidia_container_toolkit", "toolkit"))
        }
        return json.dumps({**json.loads(super().yaml()), "site": {"packages": site}})

    def host(self) -> HostPart:
        return self.plan().hosts[0]


@pytest.fixture(scope="module")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repositories]:
    made = Repositories(tmp_path_factory.mktemp("nvidia"))
    for version in (OLD, FIRST, OTHER):
        made.add_driver(version)
    made.add_rest()
    made.sign()
    yield made
    made.close()


@pytest.fixture(scope="module")
def world(bare_machine: Machine, repositories: Repositories) -> Iterator[GpuWorld]:
    plug_in_gpu(bare_machine)
    bare_machine.put("/opt/kernels.deb", repositories.kernels)
    bare_machine.run("dpkg -i /opt/kernels.deb")
    with gpu_world(bare_machine, repositories) as made:
        yield made


@contextlib.contextmanager
def gpu_world(bare: Machine, repositories: Repositories) -> Iterator[GpuWorld]:
    """A stack whose machine gets NVIDIA's software from the repositories, which only their signature vouches for."""
    folder = Path(tempfile.mkdtemp(prefix="eh-", dir="/tmp"))
    with repositories.served(f"{bare.lab.network}.1") as address:
        made = GpuWorld(
            folder=folder,
            port=PORT,
            tools=folder / "bin",
            bare=bare,
            login=LOGIN,
            mirror=address,
            fingerprint=repositories.keys["nvidia"],
        )
        image = f"registry.example/llama.cpp:server@sha256:{'1234' * 16}"
        made.settings["container"] = {"runtime": "docker", "image": image, "gpus": {"count": 1}}
        bare.run("mkdir -p /etc/docker")
        bare.put("/etc/docker/daemon.json", DAEMON.encode(), 0o644)
        try:
            yield made
        finally:
            made.connectors.close()
            shutil.rmtree(folder)


def test_a_preview_names_driver_and_toolkit_and_changes_nothing(world: GpuWorld) -> None:
    """With what comes from the distribution before them; the engine's preview waits for them."""
    said = str(foresee(world.host(), world.context()))
    assert "docker.io" in said
    assert "installing NVIDIA's driver 580 with the open modules" in said
    assert "installing NVIDIA's container toolkit and restarting Docker" in said
    assert foresee(world.replica(), world.context()).effect is Effect.START
    assert not world.bare.holds("ls /var/lib/enginehouse /etc/apt/keyrings/enginehouse-* || command -v docker")


def test_a_repository_that_another_key_has_signed_is_refused(world: GpuWorld, repositories: Repositories) -> None:
    """Although its key comes along with the right one, in the same file. Nothing of it is known to apt afterwards, and
    the machine's own sources work."""
    repositories.sign("stranger")
    with pytest.raises(ConvergeFailed) as failure:
        world.converge(world.host())
    assert "is not signed" in " ".join(failure.value.reasons)
    assert not world.bare.holds("ls /etc/apt/sources.list.d/enginehouse-* /var/lib/enginehouse/host/installing*")
    assert not world.bare.holds("dpkg-query -W libcuda1")
    world.bare.run("apt-get update -q")
    repositories.sign()


def test_an_installation_that_is_cut_off_is_finished_by_the_next_run(world: GpuWorld) -> None:
    """dpkg is killed in the middle of the driver. The next run ends with a machine that has its GPU, a driver that is
    held, and a Docker that takes `--gpus`."""
    with ends_unpacking(world.bare, "nvidia-"), pytest.raises(ConvergeFailed, match="installing NVIDIA's driver"):
        world.converge(world.host())
    assert world.bare.holds(f"ls {MARK}")
    world.converge(world.host())
    assert not world.bare.holds(f"ls {MARK}*")
    assert FIRST in world.bare.run(f"cat {VERSION_FILE}")
    assert world.bare.holds("dpkg-query -W linux-headers-amd64")
    held = world.bare.run("apt-mark showhold").split()
    assert held == ["libcuda1", "nvidia-driver-cuda", "nvidia-kernel-open-dkms"]


def test_docker_gives_gpus_to_containers_and_its_configuration_is_as_it_was(world: GpuWorld) -> None:
    """A Docker that began before the toolkit says that it has no device driver, as the last test sees."""
    world.bare.run(IMAGE)
    world.bare.run("docker run --rm --network=none --gpus=all theirs sleep 0")
    assert world.bare.run("cat /etc/docker/daemon.json") == DAEMON


def test_a_second_run_looks_once_and_writes_nothing(world: GpuWorld, repositories: Repositories) -> None:
    repositories.asked.clear()
    world.connector.runs = world.connector.holds = 0
    world.converge(world.host())
    assert (world.connector.runs, world.connector.holds, repositories.asked) == (1, 0, [])


def test_no_upgrade_of_the_system_moves_the_driver(world: GpuWorld, repositories: Repositories) -> None:
    """Neither to a later version of the branch nor to another branch; without the hold the twin moves it, and the next
    run says so and holds it again."""
    repositories.add_driver(NEXT)
    repositories.sign()
    bare = world.bare
    upgrade = "export DEBIAN_FRONTEND=noninteractive; apt-get update -q && apt-get dist-upgrade -q -y -s"
    assert "Inst libcuda1" not in bare.run(upgrade)
    bare.run("apt-mark unhold libcuda1 nvidia-driver-cuda nvidia-kernel-open-dkms")
    loose = bare.run(upgrade)
    assert f"Inst libcuda1 [{FIRST}-1] ({NEXT}-1" in loose
    said = foresee(world.host(), world.context())
    assert "holding the packages of NVIDIA's driver" in said.reason
    world.converge(world.host())
    assert "Inst libcuda1" not in bare.run(upgrade)


def test_a_newer_driver_is_never_replaced_by_an_older_one(world: GpuWorld) -> None:
    older = replace(world.host(), driver=replace(world.host().driver, branch="575"))  # type: ignore[type-var]
    said = foresee(older, world.context())
    assert said.effect is Effect.FAILS
    assert "is newer than branch 575: nothing is downgraded" in said.reason


def test_another_branch_waits_for_programs_that_compute_and_is_foretold(world: GpuWorld) -> None:
    """Who computes is named. Once nobody does, the preview says what is exchanged, and it is, without a reboot."""
    world.branch = "590"
    bare = world.bare
    bare.run("mknod /dev/nvidia0 c 1 3")
    with bare.talk("sh", "-c", "exec 3</dev/nvidia0; read line; echo begun; cat") as user:
        user.say("compute")
        refused = foresee(world.host(), world.context())
    bare.run("rm /dev/nvidia0")
    assert refused.effect is Effect.FAILS
    told = "programs use the GPUs, which another driver would take from them: sh (process "
    assert told in refused.reason
    assert f"exchanging NVIDIA's driver {FIRST} for 590" in str(foresee(world.host(), world.context()))
    world.converge(world.host())
    assert OTHER in bare.run(f"cat {VERSION_FILE}")


def test_modules_of_the_other_kind_are_not_removed_unasked(world: GpuWorld, repositories: Repositories) -> None:
    """Their packages exclude each other. What would go is named, and the driver is as it was, held. Once a person has
    removed it, the exchange goes on; and from then on `modules: auto` keeps the kind that is there."""
    for version in (LATER, LAST):
        repositories.add_driver(version)
    repositories.sign()
    bare = world.bare
    world.branch, world.modules = "595", "proprietary"
    with pytest.raises(ConvergeFailed) as failure:
        world.converge(world.host())
    assert "`sudo apt-get remove nvidia-kernel-open-dkms` there" in " ".join(failure.value.reasons)
    assert OTHER in bare.run(f"cat {VERSION_FILE}")
    assert not bare.holds(f"ls {MARK}")
    held = bare.run("apt-mark showhold").split()
    assert held == ["libcuda1", "nvidia-driver-cuda", "nvidia-kernel-open-dkms"]

    bare.run("apt-get remove -q -y --allow-change-held-packages nvidia-kernel-open-dkms")
    world.converge(world.host())
    assert LATER in bare.run(f"cat {VERSION_FILE}")

    world.branch, world.modules = "600", "auto"
    assert "600 with the proprietary modules" in str(foresee(world.host(), world.context()))
    world.converge(world.host())
    assert LAST in bare.run(f"cat {VERSION_FILE}")
    assert bare.run("apt-mark showhold").split() == ["libcuda1", "nvidia-driver-cuda", "nvidia-kernel-dkms"]


def test_a_stack_on_a_mirror_says_what_it_asked_for_there(world: GpuWorld, repositories: Repositories) -> None:
    assert f"/{CUDA}/3bf863cc.pub" in " ".join(repositories.asked)


@pytest.fixture
def machine(lab: Lab, with_docker: str) -> Iterator[Machine]:
    """One of its own, with all but NVIDIA's software."""
    with lab.machine("gpu", 4, image=with_docker) as made:
        made.put("/etc/docker/daemon.json", DAEMON.encode(), 0o644)
        made.run("systemctl enable -q docker; systemctl start docker")
        yield made


def test_with_nouveau_a_reboot_is_asked_for_and_the_next_run_goes_on(
    machine: Machine, repositories: Repositories
) -> None:
    plug_in_gpu(machine, nouveau=True)
    with gpu_world(machine, repositories) as world:
        with pytest.raises(ConvergeFailed) as failure:
            world.converge(world.host())
        (reason,) = failure.value.reasons
        assert "nouveau still has the GPU: reboot the machine (`sudo systemctl reboot` there)" in reason
        machine.reboot()
        world.another_run()
        world.converge(world.host())
        assert "  580." in machine.run(f"cat {VERSION_FILE}")


def test_docker_is_not_restarted_under_containers_of_others(machine: Machine, repositories: Repositories) -> None:
    """They are named and nothing is changed. Once Docker keeps what runs, and supervisors are stopped as it was said,
    it is restarted and the others run on; the twin restarts it without that."""
    plug_in_gpu(machine)
    with gpu_world(machine, repositories) as world:
        machine.run(IMAGE)
        assert machine.holds("docker run --rm --network=none --gpus=all theirs sleep 0 2>&1 | grep 'device driver'")
        machine.run("docker run --detach --network=none --name=theirs theirs sleep 10000")
        process = machine.run("docker inspect --format '{{.State.Pid}}' theirs")
        machine.put("/etc/systemd/system/enginehouse-other-01234567.service", SUPERVISOR.encode(), 0o644)
        machine.run(f"systemctl start enginehouse-other-01234567; until {ENGINE_RUNS}; do sleep 0.1; done")
        with pytest.raises(ConvergeFailed) as failure:
            world.converge(world.host())
        (reason,) = failure.value.reasons
        assert reason.startswith("Docker has to be restarted before it gives GPUs to containers, which would end ")
        assert "; `docker stop theirs` before and `docker start theirs` afterwards" in reason
        assert not machine.holds("command -v nvidia-ctk || command -v nvidia-smi")

        kept = json.dumps({**json.loads(DAEMON), "live-restore": True})
        machine.put("/etc/docker/daemon.json", kept.encode(), 0o644)
        machine.run("systemctl reload docker")
        with pytest.raises(ConvergeFailed) as failure:
            world.converge(world.host())
        (reason,) = failure.value.reasons
        assert f"which would end {ENGINE}; those of stacks" in reason
        stop, start = (word for word in reason.split("`") if word.startswith("cd "))
        machine.run(stop)
        world.converge(world.host())
        machine.run(f"{start}; until {ENGINE_RUNS}; do sleep 0.1; done")
        assert machine.run("docker inspect --format '{{.State.Pid}}' theirs") == process
        assert machine.holds(f"[ -d /proc/{process.strip()} ]")
        assert machine.run("cat /etc/docker/daemon.json") == kept
        machine.run("docker run --rm --network=none --gpus=all theirs sleep 0")

        machine.put("/etc/docker/daemon.json", DAEMON.encode(), 0o644)
        machine.run("systemctl reload docker; systemctl restart docker")
        assert not machine.holds(f"[ -d /proc/{process.strip()} ]")
